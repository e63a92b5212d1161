#pragma once

#include <lowrank/io/dense_array.hpp>
#include <lowrank/io/file_bytes.hpp>

namespace lowrank {

/// Numbers as text, a row a line, separated by commas, semicolons, tabs or blanks (found from the first line). Blank
/// lines and what follows a '#' outside of quotes are skipped; a first line of names is a header (noted), in which a
/// '#' may stand. nan, inf and a leading '+' are read; numbers may be quoted. Throws Error with line and column (of the
/// table, from 1): a word, an empty field, a row of another length, a first line of what looks like numbers of another
/// notation (1,5 0x1F 1_000), no number at all.
DenseArray read_csv(const FileBytes& file);

/// Writes a row a line with the fewest digits that read back as the same T; tabs for a name ending in ".tsv", else
/// commas; packed where ".gz" follows. Throws std::invalid_argument for a matrix without entries, whose shape text
/// cannot tell.
template <Real T>
void save_csv(const std::string& path, MatrixView<const T> values);

}  // namespace lowrank
