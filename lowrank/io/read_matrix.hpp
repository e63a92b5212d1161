#pragma once

#include <lowrank/io/file_bytes.hpp>
#include <lowrank/io/load.hpp>

namespace lowrank {

/// load_matrix for bytes that are at hand already; `member` is the name after the colon, or empty.
LoadedMatrix read_matrix(const FileBytes& file, const std::string& member = {}, const LoadOptions& options = {});

}  // namespace lowrank
