// Operations `put_rows` and `get_rows`, the block layout: vecpress/ops/blocks.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

constexpr int64_t kBlockRows = 64;

struct BlockLayout {
  int64_t code_size, head, group;
};

struct PutRowsArgs {
  uint8_t* data;         // blocks
  const uint8_t* codes;  // [count][code_size]
  int64_t start, count;  // rows start .. start + count - 1 are written
  BlockLayout layout;
};

struct GetRowsArgs {
  uint8_t* out;  // [rows][code_size]
  const uint8_t* data;
  const int64_t* rows;
  BlockLayout layout;
};

struct PutRows {
  static constexpr const char* name = "put_rows";
  using Kernel = void (*)(const PutRowsArgs&, int64_t begin, int64_t end);  // the part that falls in blocks [begin, end)
};

struct GetRows {
  static constexpr const char* name = "get_rows";
  using Kernel = void (*)(const GetRowsArgs&, int64_t begin, int64_t end);  // rows[begin] .. rows[end - 1]
};

}  // namespace vecpress
