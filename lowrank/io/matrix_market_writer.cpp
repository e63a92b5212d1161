#include <fmt/format.h>

#include <lowrank/io/gzip.hpp>
#include <lowrank/io/matrix_market.hpp>
#include <lowrank/io/number_text.hpp>

namespace lowrank {
namespace {

/// Gathers short lines before they are written.
class LineWriter {
 public:
  explicit LineWriter(const std::string& path) : file_(path) {}
  std::string& text() {
    if (text_.size() >= (1u << 16)) flush();
    return text_;
  }
  void commit() {
    flush();
    file_.commit();
  }

 private:
  void flush() {
    file_.write(text_);
    text_.clear();
  }
  TextFile file_;
  std::string text_;
};

}  // namespace

template <Real T>
void save_matrix_market(const std::string& path, const SparseMatrix<T>& values) {
  LineWriter lines(path);
  lines.text() += fmt::format("%%MatrixMarket matrix coordinate real general\n{} {} {}\n", values.rows(), values.cols(),
                              values.nonZeros());
  for (Index i = 0; i < values.rows(); ++i)
    for (typename SparseMatrix<T>::InnerIterator entry(values, i); entry; ++entry) {
      std::string& text = lines.text();
      append_number(text, i + 1);
      text += ' ';
      append_number(text, entry.col() + 1);
      text += ' ';
      append_number(text, entry.value());
      text += '\n';
    }
  lines.commit();
}

template <Real T>
void save_matrix_market(const std::string& path, MatrixView<const T> values) {
  if (&values.device() != &host_device())
    throw std::invalid_argument("only a matrix on the host can be written to a file");
  LineWriter lines(path);
  lines.text() += fmt::format("%%MatrixMarket matrix array real general\n{} {}\n", values.rows(), values.cols());
  for (Index j = 0; j < values.cols(); ++j)
    for (Index i = 0; i < values.rows(); ++i) {
      std::string& text = lines.text();
      append_number(text, values(i, j));
      text += '\n';
    }
  lines.commit();
}

template void save_matrix_market<float>(const std::string&, const SparseMatrix<float>&);
template void save_matrix_market<double>(const std::string&, const SparseMatrix<double>&);
template void save_matrix_market<float>(const std::string&, MatrixView<const float>);
template void save_matrix_market<double>(const std::string&, MatrixView<const double>);

}  // namespace lowrank
