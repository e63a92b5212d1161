#pragma once

#include <sys/types.h>

#include <Eigen/Core>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

/// A folder of its own for a test, removed at the end.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  const std::filesystem::path& path() const { return path_; }
  /// The names in it, hidden ones too, sorted.
  std::vector<std::string> names() const;
  /// Writes text, or a matrix in the format of the ending, and returns the path.
  std::string write(const std::string& name, const std::string& text) const;
  std::string write(const std::string& name, const Eigen::MatrixXd& values) const;
  std::string write(const std::string& name, const Eigen::MatrixXf& values) const;

 private:
  std::filesystem::path path_;
};

struct Outcome {
  int status = 0;  ///< exit status, or minus the signal that ended the process
  std::string out, err;
  double seconds = 0;

  /// stdout as one JSON object on one line.
  nlohmann::json json() const;
};

/// A running `lowrank`. Its stdout goes to the descriptor `out`, or is caught.
class Child {
 public:
  explicit Child(const std::vector<std::string>& arguments, int out = -1);
  pid_t id() const { return id_; }
  Outcome wait();

 private:
  TestFolder folder_;
  pid_t id_ = -1;
  double start_ = 0;
};

Outcome run(const std::vector<std::string>& arguments);

/// Checks that the command refuses with that status and one line on stderr that has all of `words`, and nothing on
/// stdout.
void check_refused(const std::vector<std::string>& arguments, int status, const std::vector<std::string>& words);

/// A matrix of rank 2 and norm of order 1.
Eigen::MatrixXd rank_two(Eigen::Index rows, Eigen::Index cols);

std::string text_of(const std::string& path);

/// What a file holds, dense, as double.
Eigen::MatrixXd read(const std::string& path);
