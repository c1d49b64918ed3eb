// What bindings need of the block layout: the check of arrays from Python, and single rows moved in place.
#pragma once

#include <cstddef>
#include <cstring>

#include "blocks/blocks.hpp"
#include "core/python.hpp"

namespace vecpress {

inline BlockLayout checked_layout(const Array<uint8_t>& data, int64_t code_size, int64_t head, int64_t group) {
  expect(data.ndim() == 2 && data.shape(1) == code_size * kBlockRows, "blocks: data and codes differ in width");
  expect(head >= 0 && head <= code_size, "blocks: head expected at most the code's size");
  expect(group >= 1 && (code_size - head) % group == 0, "blocks: group expected a divisor of the payload");
  return {code_size, head, group};
}

// Copies the code of row `from` over that of row `to`.
inline void copy_row(const BlockLayout& l, uint8_t* data, int64_t from, int64_t to) {
  const uint8_t* in = data + from / kBlockRows * kBlockRows * l.code_size;
  uint8_t* out = data + to / kBlockRows * kBlockRows * l.code_size;
  const int64_t in_row = from % kBlockRows, out_row = to % kBlockRows;
  for (int64_t byte = 0; byte < l.head; ++byte) out[byte * kBlockRows + out_row] = in[byte * kBlockRows + in_row];
  for (int64_t part = l.head; part < l.code_size; part += l.group)
    std::memcpy(out + part * kBlockRows + out_row * l.group, in + part * kBlockRows + in_row * l.group,
                static_cast<std::size_t>(l.group));
}

}  // namespace vecpress
