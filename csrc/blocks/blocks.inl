// The block layout: whole blocks are transposed 16 by 16 bytes at a time, single rows byte by byte. Included inside a target region,
// after the region's vectors.

// out[r * out_row + e * out_step] = in[r * in_row + e * in_step], elements of W bytes (of `width` bytes where W is 0).
template <int W>
inline void copy_elements(const uint8_t* in, int64_t in_row, int64_t in_step, uint8_t* out, int64_t out_row, int64_t out_step,
                          int64_t rows, int64_t elements, int64_t width) {
  for (int64_t e = 0; e < elements; ++e)
    for (int64_t r = 0; r < rows; ++r)
      __builtin_memcpy(out + r * out_row + e * out_step, in + r * in_row + e * in_step, W ? W : static_cast<size_t>(width));
}

inline void transpose_bytes(const uint8_t* in, int64_t in_row, int64_t in_step, uint8_t* out, int64_t out_row, int64_t out_step,
                            int64_t elements) {
  if (elements < 16) return copy_elements<1>(in, in_row, in_step, out, out_row, out_step, kBlockRows, elements, 1);
  for (int64_t e = 0; e < elements; e += 16) {
    if (e + 16 > elements) e = elements - 16;  // the last square overlaps the one before, and writes the same there
    for (int64_t r = 0; r < kBlockRows; r += 16) {
      const uint8_t* from = in + r * in_row + e * in_step;
      uint8_t* to = out + r * out_row + e * out_step;
      if (in_step == 1)
        transpose16(from, in_row, to, out_step);
      else
        transpose16(from, in_step, to, out_row);
    }
  }
}

// One part of the codes, elements of `width` bytes: from codes to block where kPut, else back. codes and block point at row 0's first.
template <bool kPut>
inline void move_part(const uint8_t* in, uint8_t* out, int64_t rows, int64_t elements, int64_t width, int64_t code_size) {
  const int64_t in_row = kPut ? code_size : width, in_step = kPut ? width : width * kBlockRows;
  const int64_t out_row = kPut ? width : code_size, out_step = kPut ? width * kBlockRows : width;
  switch (width) {
    case 1:
      if (rows == kBlockRows) return transpose_bytes(in, in_row, in_step, out, out_row, out_step, elements);
      return copy_elements<1>(in, in_row, in_step, out, out_row, out_step, rows, elements, 1);
    case 2:
      return copy_elements<2>(in, in_row, in_step, out, out_row, out_step, rows, elements, 2);
    case 4:
      return copy_elements<4>(in, in_row, in_step, out, out_row, out_step, rows, elements, 4);
    default:
      return copy_elements<0>(in, in_row, in_step, out, out_row, out_step, rows, elements, width);
  }
}

// Rows `row` .. `row` + rows - 1 of a block; the codes of `row` are at `codes`.
inline void put(const BlockLayout& l, const uint8_t* codes, uint8_t* block, int64_t row, int64_t rows) {
  const int64_t head = l.group == 1 ? l.code_size : l.head;  // groups of one byte are stored as the head is
  move_part<true>(codes, block + row, rows, head, 1, l.code_size);
  if (head == l.code_size) return;
  move_part<true>(codes + head, block + head * kBlockRows + row * l.group, rows, (l.code_size - head) / l.group, l.group, l.code_size);
}

inline void get(const BlockLayout& l, const uint8_t* block, uint8_t* codes, int64_t row, int64_t rows) {
  const int64_t head = l.group == 1 ? l.code_size : l.head;
  move_part<false>(block + row, codes, rows, head, 1, l.code_size);
  if (head == l.code_size) return;
  move_part<false>(block + head * kBlockRows + row * l.group, codes + head, rows, (l.code_size - head) / l.group, l.group, l.code_size);
}

void put_blocks(const PutRowsArgs& a, int64_t begin, int64_t end) {
  for (int64_t b = begin; b < end; ++b) {
    const int64_t first = b * kBlockRows > a.start ? b * kBlockRows : a.start;
    const int64_t stop = (b + 1) * kBlockRows < a.start + a.count ? (b + 1) * kBlockRows : a.start + a.count;
    if (first >= stop) continue;
    const uint8_t* codes = a.codes + (first - a.start) * a.layout.code_size;
    put(a.layout, codes, a.data + b * a.layout.code_size * kBlockRows, first - b * kBlockRows, stop - first);
  }
}

// Whether rows[0] .. rows[63] are a whole block in order.
inline bool is_block(const int64_t* rows) {
  if (rows[0] % kBlockRows) return false;
  for (int64_t i = 1; i < kBlockRows; ++i)
    if (rows[i] != rows[0] + i) return false;
  return true;
}

void get_block_rows(const GetRowsArgs& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end;) {
    const int64_t rows = i + kBlockRows <= end && is_block(a.rows + i) ? kBlockRows : 1;
    const int64_t row = a.rows[i];
    get(a.layout, a.data + row / kBlockRows * a.layout.code_size * kBlockRows, a.out + i * a.layout.code_size, row % kBlockRows, rows);
    i += rows;
  }
}
