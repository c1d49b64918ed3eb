// Moves the allowed rows of blocks together.
#include "core/allowed.hpp"

#include <algorithm>
#include <cstring>

#include "core/pool.hpp"

namespace vecpress {
namespace {

constexpr int64_t kLine = 64;
constexpr int64_t kPiece = 512;  // blocks that one thread copies at a time

// The bits that are set, by shifts and sums, for the baseline machine has no instruction for it and calls a function. Of every byte:
inline uint64_t count_bytes(uint64_t x) {
  x -= x >> 1 & 0x5555555555555555u;
  x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
  return (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
}
// The sum of 8 bytes.
inline int64_t sum_bytes(uint64_t x) {
  return static_cast<int64_t>(((x & 0x00FF00FF00FF00FFu) + (x >> 8 & 0x00FF00FF00FF00FFu)) * 0x0001000100010001u >> 48);
}
inline int64_t count(uint64_t x) { return sum_bytes(count_bytes(x)); }

// One row: `parts` of `width` bytes from a block's `in` to `out`, from which on they are 64 widths apart in both.
template <int kWidth>
inline void copy_parts(const uint8_t* in, uint8_t* out, int64_t parts, int64_t width) {
  const int64_t step = kBlock * (kWidth ? kWidth : width);
  for (int64_t i = 0; i < parts; ++i, in += step, out += step) std::memcpy(out, in, static_cast<size_t>(kWidth ? kWidth : width));
}

}  // namespace

Allowed::Allowed(const Scan& scan) : scan_(scan), blocks_((scan.n + kBlock - 1) / kBlock) {
  constexpr int64_t kWords = 16;  // whose bytes' counts do not overflow
  int64_t b = 0;
  for (; b + kWords < blocks_; b += kWords) {  // not the last block, which may not be whole
    uint64_t bytes = 0, filled = 0;
    for (int64_t i = 0; i < kWords; ++i) {
      const uint64_t rows = scan.allow[b + i];
      bytes += count_bytes(rows);
      filled += (rows | (0 - rows)) >> 63;
    }
    rows_ += sum_bytes(bytes);
    filled_ += static_cast<int64_t>(filled);
  }
  for (; b < blocks_; ++b) {
    rows_ += count(allowed(b));
    filled_ += allowed(b) != 0;
  }
}

inline uint64_t Allowed::allowed(int64_t b) const {
  const int64_t left = scan_.n - b * kBlock;
  return left >= kBlock ? scan_.allow[b] : scan_.allow[b] & ((uint64_t{1} << left) - 1);
}

// In cycles for 64 bytes of a block, about: a query's pass takes 1.25 and more, the copy 2 and 1.5 for every row. Where that is nearly even,
// rows stay where they are.
bool Allowed::worth_moving() const {
  if (!rows_ || !scan_.code_size) return false;
  // Every piece finds k of its own rows beside those so far, so they are to be few of many, and no more memory than is moved.
  const int64_t most = std::max(kMoved / scan_.code_size, kBlock);
  if (rows_ > most && (scan_.k > most / 256 || scan_.nq * scan_.k > kMoved / 16)) return false;
  const double each = 1.25 * static_cast<double>(scan_.nq), blocks = static_cast<double>(filled_), rows = static_cast<double>(rows_);
  return 2 * blocks + 1.5 * rows + each * rows / kBlock < 0.7 * each * blocks;
}

// The end of as many blocks from `begin` on as have no more rows than are moved at a time.
int64_t Allowed::fitting(int64_t begin) const {
  const int64_t most = std::max(kMoved / scan_.code_size, kBlock);
  if (rows_ <= most) return blocks_;
  int64_t rows = 0, b = begin;
  while (b < blocks_ && (rows += count(allowed(b))) <= most) ++b;
  return std::max(b, begin + 1);
}

Scan Allowed::copy(int64_t begin, int64_t end, int threads, Control& control) {
  const int64_t pieces = (end - begin + kPiece - 1) / kPiece, size = scan_.code_size;
  std::vector<int64_t> first(static_cast<size_t>(pieces));  // row of each piece
  int64_t rows = 0;
  for (int64_t b = begin; b < end; ++b) {
    if ((b - begin) % kPiece == 0) first[static_cast<size_t>((b - begin) / kPiece)] = rows;
    rows += count(allowed(b));
  }
  const int64_t bytes = (rows + kBlock - 1) / kBlock * kBlock * size;
  if (bytes > held_) {
    memory_.reset(new uint8_t[static_cast<size_t>(bytes + kLine)]);
    held_ = bytes;
  }
  ids_.resize(static_cast<size_t>(rows));
  uint8_t* const out = memory_.get() + (kLine - reinterpret_cast<uintptr_t>(memory_.get()) % kLine) % kLine;
  if (rows % kBlock) std::memset(out + rows / kBlock * kBlock * size, 0, static_cast<size_t>(kBlock * size));  // rows past the last are zero

  const int64_t head = scan_.group == 1 ? size : scan_.head, group = scan_.group, groups = (size - head) / group;
  parallel(pieces, threads, control, [&](int64_t piece) {
    int64_t row = first[static_cast<size_t>(piece)];
    const int64_t stop = std::min(end, begin + (piece + 1) * kPiece);
    for (int64_t b = begin + piece * kPiece, next; b < stop; b = next) {
      next = b + 1;
      uint64_t left = allowed(b);
      if (!left) continue;
      while (next < stop && !allowed(next)) ++next;
      if (next < stop)  // comes from memory meanwhile
        for (const uint8_t *line = scan_.block(next), *last = line + size * kBlock; line < last; line += kLine) __builtin_prefetch(line);
      for (; left; left &= left - 1, ++row) {
        const int64_t r = __builtin_ctzll(left), to = row % kBlock;
        const uint8_t* block = scan_.block(b);
        uint8_t* moved = out + row / kBlock * kBlock * size;
        ids_[static_cast<size_t>(row)] = scan_.ids ? scan_.ids[b * kBlock + r] : b * kBlock + r;
        copy_parts<1>(block + r, moved + to, head, 1);
        if (group == 2)
          copy_parts<2>(block + head * kBlock + r * 2, moved + head * kBlock + to * 2, groups, 2);
        else if (group == 4)
          copy_parts<4>(block + head * kBlock + r * 4, moved + head * kBlock + to * 4, groups, 4);
        else
          copy_parts<0>(block + head * kBlock + r * group, moved + head * kBlock + to * group, groups, group);
      }
    }
  });
  Scan part = scan_;
  part.blocks = out;
  part.n = rows;
  part.stride = size;
  part.ids = ids_.data();
  part.allow = nullptr;
  return part;
}

}  // namespace vecpress
