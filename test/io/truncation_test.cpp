#include <lowrank/io/idx.hpp>
#include <lowrank/io/read_matrix.hpp>

#include "io/files.hpp"

using namespace io_test;

namespace {

/// A binary file cut anywhere is refused; text may still be a smaller table.
template <class Read>
void cut_everywhere(const std::string& name, bool must_fail, Read read) {
  const std::string whole = contents(data(name));
  CHECK(message([&] { read(bytes(whole, name)); }) == "");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    bool failed = false;
    std::string what;
    try {
      read(bytes(whole.substr(0, length), name));
    } catch (const Error& error) {
      failed = true;
      what = error.what();
    }
    if (failed && what.find(name) == std::string::npos) FAIL("the message does not name the file: " << what);
    if (must_fail && !failed) FAIL(name << " was read when cut to " << length << " bytes");
  }
}

/// Each byte changed in turn: an answer or an Error, nothing else.
template <class Read>
void change_everywhere(const std::string& name, Read read) {
  const std::string whole = contents(data(name));
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      try {
        read(bytes(changed, name));
      } catch (const Error&) {
        continue;
      }
    }
}

}  // namespace

TEST_CASE("every file cut at every byte is refused or read, never a crash") {
  const auto load = [](const std::string& member) {
    return [member](const FileBytes& file) { read_matrix(file, member); };
  };
  for (const char* name : {"io_f8_c.npy", "io_i4.npy", "io_v3.npy"}) cut_everywhere(name, true, load(""));
  for (const char* name : {"io_stored.npz", "io_deflated.npz"}) cut_everywhere(name, true, load("W"));
  cut_everywhere("io_tensors.safetensors", true, load("F16"));
  cut_everywhere("io_sparse.mtx.gz", true, load(""));
  for (const char* name : {"io_sparse.mtx", "io_array.mtx", "io_skew_array.mtx", "io_comma.csv", "io_header.tsv"})
    cut_everywhere(name, false, load(""));
  for (const char* name : {"io_images.idx", "io_images.idx.gz"})
    cut_everywhere(name, true, [](const FileBytes& file) { read_idx_images(file); });
  for (const char* name : {"io_labels.idx", "io_labels.idx.gz"})
    cut_everywhere(name, true, [](const FileBytes& file) { read_idx_labels(file); });
}

TEST_CASE("every byte of a file changed gives an answer or an Error") {
  for (const char* name : {"io_f8_c.npy", "io_one.npz", "io_bf16.safetensors", "io_sparse.mtx", "io_sparse.mtx.gz",
                           "io_comma.csv", "io_skew_array.mtx"})
    change_everywhere(name, [](const FileBytes& file) { read_matrix(file); });
  change_everywhere("io_images.idx.gz", [](const FileBytes& file) { read_idx_images(file); });
}
