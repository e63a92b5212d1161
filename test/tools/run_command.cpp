#include "run_command.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <lowrank/io/load.hpp>
#include <lowrank/io/save.hpp>
#include <sstream>

#include "tools/command_path.hpp"

namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TestFolder::TestFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "lowrank-tools-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder: " + name);
  path_ = name;
}

TestFolder::~TestFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

std::vector<std::string> TestFolder::names() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path_))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string TestFolder::write(const std::string& name, const std::string& text) const {
  std::ofstream(path_ / name, std::ios::binary) << text;
  return *this / name;
}

std::string TestFolder::write(const std::string& name, const Eigen::MatrixXd& values) const {
  lowrank::save_matrix<double>(*this / name, values);
  return *this / name;
}

std::string TestFolder::write(const std::string& name, const Eigen::MatrixXf& values) const {
  lowrank::save_matrix<float>(*this / name, values);
  return *this / name;
}

nlohmann::json Outcome::json() const {
  CHECK(std::count(out.begin(), out.end(), '\n') == 1);
  return nlohmann::json::parse(out);
}

Child::Child(const std::vector<std::string>& arguments, int out) {
  std::vector<char*> argv{const_cast<char*>(LOWRANK_COMMAND)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string out_path = folder_ / "out", err_path = folder_ / "err";
  if (out >= 0)
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  else
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out_path.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err_path.c_str(), O_WRONLY | O_CREAT, 0600);
  start_ = now();
  const int error = posix_spawn(&id_, LOWRANK_COMMAND, &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot run " LOWRANK_COMMAND);
}

Outcome Child::wait() {
  int status = 0;
  if (waitpid(id_, &status, 0) != id_) throw std::runtime_error("the child is gone");
  Outcome outcome;
  outcome.seconds = now() - start_;
  outcome.status = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  outcome.out = text_of(folder_ / "out");
  outcome.err = text_of(folder_ / "err");
  return outcome;
}

Outcome run(const std::vector<std::string>& arguments) { return Child(arguments).wait(); }

void check_refused(const std::vector<std::string>& arguments, int status, const std::vector<std::string>& words) {
  const Outcome outcome = run(arguments);
  std::string call;
  for (const std::string& argument : arguments) call += " " + argument;
  CAPTURE(call);
  CAPTURE(outcome.err);
  CHECK(outcome.status == status);
  CHECK(outcome.out.empty());
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  CHECK(outcome.err.ends_with('\n'));
  CHECK(outcome.err.starts_with("lowrank " + arguments.at(0) + ": "));
  for (const std::string& word : words) CHECK_MESSAGE(outcome.err.find(word) != std::string::npos, word);
}

Eigen::MatrixXd rank_two(Eigen::Index rows, Eigen::Index cols) {
  const Eigen::VectorXd i = Eigen::VectorXd::LinSpaced(rows, 0, 1), j = Eigen::VectorXd::LinSpaced(cols, -1, 1);
  return i * j.transpose() + i.array().cos().matrix() * j.array().exp().matrix().transpose();
}

Eigen::MatrixXd read(const std::string& path) {
  const lowrank::LoadedMatrix matrix = lowrank::load_matrix(path);
  if (const auto* f64 = std::get_if<lowrank::Matrix<double>>(&matrix.content))
    return lowrank::Matrix<double>::copy_of(*f64).eigen();
  if (const auto* f32 = std::get_if<lowrank::Matrix<float>>(&matrix.content))
    return lowrank::Matrix<float>::copy_of(*f32).eigen().cast<double>();
  if (const auto* sparse = std::get_if<lowrank::SparseMatrix<double>>(&matrix.content)) return Eigen::MatrixXd(*sparse);
  throw std::runtime_error(path + ": not dense in memory");
}
