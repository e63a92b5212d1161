#include <lowrank/gen/spectrum.hpp>

#include "gen_check.hpp"

using gen_check::contains;
using gen_check::refusal;
using lowrank::spectrum;

TEST_CASE("spectrum: the values of each form") {
  CHECK(spectrum("flat", 3) == std::vector<double>{1, 1, 1});
  CHECK(spectrum("step:2,1e-10", 4) == std::vector<double>{1, 1, 1e-10, 1e-10});
  CHECK(spectrum("step:0,0", 2) == std::vector<double>{0, 0});
  CHECK(spectrum("stairs:2,0.5", 5) == std::vector<double>{1, 1, 0.5, 0.5, 0.25});
  CHECK(spectrum("exp:1", 3)[0] == 1);
  CHECK(spectrum("exp:1", 3)[2] == doctest::Approx(1e-2).epsilon(1e-15));
  CHECK(spectrum("exp:.5", 3)[1] == doctest::Approx(std::sqrt(0.1)).epsilon(1e-15));
  CHECK(spectrum("poly:2", 3) == std::vector<double>{1, 0.25, 1.0 / 9});
  CHECK(spectrum("poly:.5", 4)[3] == doctest::Approx(0.5).epsilon(1e-15));
  CHECK(spectrum("exp:1", 0).empty());
}

TEST_CASE("spectrum: a file's path is handed to the caller") {
  CHECK(lowrank::spectrum_file("file:a:b,c.npy") == std::string_view("a:b,c.npy"));
  CHECK_FALSE(lowrank::spectrum_file("flat").has_value());
  CHECK(contains(refusal([] { spectrum("file:S.npy", 3); }), "by the caller"));
}

TEST_CASE("spectrum: what is wrong is said, with the forms there are") {
  const auto wrong = [](const char* spec, const char* expected) {
    CAPTURE(spec);
    const std::string said = refusal([&] { spectrum(spec, 10); });
    CAPTURE(said);
    CHECK(contains(said, expected));
    CHECK(contains(said, spec));
    CHECK(contains(said, "stairs:LEN,RATIO"));
  };
  wrong("", "no such form");
  wrong("flat:1", "no such form");
  wrong("gauss:1", "no such form");
  wrong("exp", "Q is ''");
  wrong("exp:", "Q is ''");
  wrong("exp:x", "Q is 'x'");
  wrong("exp:1x", "Q is '1x'");
  wrong("exp:-1", "Q = -1");
  wrong("poly:inf", "P = inf");
  wrong("poly:nan", "P = nan");
  wrong("poly:1e999", "P is '1e999'");
  wrong("step:3", "two numbers");
  wrong("step:1.5,0", "R is '1.5'");
  wrong("step:11,0", "R = 11");
  wrong("step:-1,0", "R = -1");
  wrong("step:3,2", "LOW = 2");
  wrong("step:3,-1", "LOW = -1");
  wrong("step:3,", "LOW is ''");
  wrong("stairs:0,.5", "LEN = 0");
  wrong("stairs:2,0", "RATIO is 0");
  wrong("stairs:2,1.5", "RATIO = 1.5");
  CHECK(contains(refusal([] { spectrum("flat", -1); }), "-1"));
}
