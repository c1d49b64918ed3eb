// Words of trellis codes on a device: rings of bits, whose windows name levels (vecpress/ops/encode_trellis.py), decoded four at a time.
//
// Components are decoded in fours, windows t .. t + 3 of a word, which 32 bits of its ring hold; each word begins at a new four, so the last four of
// a word may have places without a component, where the query's numbers are 0. A ring is 64 bits in two registers, in which a word of
// fewer bytes goes round; after every four it is turned by four steps, so that all fours are the same instructions:
//
//   low register   ... bit 3K+L-1 .. 3K | .. 2K+L-1 .. 2K | .. K+L-1 .. K | L-1 .. 0     then turned right by 4 K
//
// Levels are looked up in shared memory, single ones among 2^L bytes of the word's rate. At rate 1 four neighbours have but L + 3 bits:
// they are looked up together, as one word.
#pragma once

#include "core/codes.cuh"

namespace vecpress::cuda {

constexpr int kRates = 4;
constexpr int kMostStride = 1 << 20;  // bytes of a code, so that places take 27 bits

// Where the bytes of a word lie in a group: three aligned words of a row's code, each as its offset for the group's first row, plus how many
// words a row has in its piece, less one, which is what lies between two rows.
struct alignas(16) Word {
  uint32_t part[3];
  uint32_t select;     // which of eight bytes, from the word's first on, the ring's are: four of 4 bits for the low half, four for the high one
  uint32_t shift;      // bits before the first byte in the first of the parts
  uint8_t rate, fours, components, unused;
  int32_t four, component;  // the first ones
};

// Where a component's window is: of two bytes of the code, as above but for bytes, shifted.
struct alignas(8) Window {
  uint32_t low, high;  // offset << 2 | words less one; high: bit 31..29 the shift, 28..27 the rate less one
};

__host__ __device__ inline int fours_of(int size, int rate) { return (8 * size / rate + 3) / 4; }

// A byte's offset in a group, for row 0, with what lies between rows in the low bits.
__host__ __device__ inline uint32_t place_in_group(int stride, int byte) {
  const int size = static_cast<int>(padded(stride)), chunk = byte / kChunk, left = size - chunk * kChunk, width = left < kChunk ? left : kChunk;
  return static_cast<uint32_t>(chunk * kChunk * kGroup + byte % kChunk) << 2 | static_cast<uint32_t>(width / 4 - 1);
}
__device__ __forceinline__ const uint8_t* at_place(const uint8_t* group, int lane, uint32_t place) {
  return group + (place >> 2) + static_cast<uint32_t>(lane) * ((place & 3) + 1) * 4;
}

__device__ __forceinline__ Word word_at(int stride, int byte, int size, int rate, int four, int component) {
  Word w;
  const int first = byte / 4, last = (byte + size - 1) / 4;
#pragma unroll
  for (int i = 0; i < 3; ++i) w.part[i] = place_in_group(stride, 4 * (first + i < last ? first + i : last));
  w.select = 0;
  for (int j = 0; j < 8; ++j) w.select |= static_cast<uint32_t>(j % size) << 4 * j;
  w.shift = static_cast<uint32_t>(8 * (byte % 4));
  w.rate = static_cast<uint8_t>(rate);
  w.fours = static_cast<uint8_t>(fours_of(size, rate));
  w.components = static_cast<uint8_t>(8 * size / rate);
  w.unused = 0;
  w.four = four;
  w.component = component;
  return w;
}

__device__ __forceinline__ Window window_at(int stride, int byte, int size, int rate, int t) {
  const int bit = rate * t % (8 * size);
  return {place_in_group(stride, byte + bit / 8), place_in_group(stride, byte + (bit / 8 + 1) % size) | static_cast<uint32_t>(bit % 8) << 29 |
                                                      static_cast<uint32_t>(rate - 1) << 27};
}

// Tables in a block's shared memory: int8 [rates][2^L], then at rate 1 the fours, uint32 [2^(L + 3)].
template <int kWindow>
struct Levels {
  static constexpr int kBytes = kRates << kWindow, kFours = 1 << (kWindow + 3);
  static constexpr int kAll = kBytes + 4 * kFours;
  const uint8_t* shared;

  // `levels` [rates][2^L]; by all threads, a barrier follows
  __device__ static void stage(uint8_t* shared, const uint8_t* levels) {
    for (int i = static_cast<int>(threadIdx.x); i < kBytes; i += static_cast<int>(blockDim.x)) shared[i] = levels[i];
    uint32_t* fours = reinterpret_cast<uint32_t*>(shared + kBytes);
    for (int i = static_cast<int>(threadIdx.x); i < kFours; i += static_cast<int>(blockDim.x)) {
      uint32_t four = 0;
      for (int k = 0; k < 4; ++k) four |= static_cast<uint32_t>(levels[i >> k & ((1 << kWindow) - 1)]) << 8 * k;
      fours[i] = four;
    }
  }
};

// A row's words, four by four, in order.
template <int kWindow>
struct Ring {
  uint32_t low, high;

  __device__ __forceinline__ void load(const uint8_t* group, int lane, const Word& w) {
    uint32_t part[3];
#pragma unroll
    for (int i = 0; i < 3; ++i) part[i] = *reinterpret_cast<const uint32_t*>(at_place(group, lane, w.part[i]));
    const uint32_t a = __funnelshift_r(part[0], part[1], w.shift), b = __funnelshift_r(part[1], part[2], w.shift);
    low = __byte_perm(a, b, w.select);
    high = __byte_perm(a, b, w.select >> 16);
  }

  __device__ __forceinline__ void turn(uint32_t bits) {
    const uint32_t turned = __funnelshift_r(low, high, bits);
    high = __funnelshift_r(high, low, bits);
    low = turned;
  }

  // The next four levels, as bytes, at rates above 1.
  __device__ __forceinline__ uint32_t next(const Levels<kWindow>& levels, uint32_t rate) {
    constexpr uint32_t kMask = (1u << kWindow) - 1;
    const uint8_t* table = levels.shared + ((rate - 1) << kWindow);
    const uint32_t a = table[low & kMask], b = table[low >> rate & kMask], c = table[low >> 2 * rate & kMask], d = table[low >> 3 * rate & kMask];
    turn(4 * rate);
    return __byte_perm(__byte_perm(a, b, 0x0040), __byte_perm(c, d, 0x0040), 0x5410);
  }
  __device__ __forceinline__ uint32_t next_of_one(const Levels<kWindow>& levels) {
    const uint32_t four = reinterpret_cast<const uint32_t*>(levels.shared + Levels<kWindow>::kBytes)[low & (Levels<kWindow>::kFours - 1)];
    turn(4);
    return four;
  }
};

// The level of a component, as a number.
template <int kWindow>
__device__ __forceinline__ float level_of(const uint8_t* levels, const uint8_t* group, int lane, const Window& w) {
  const uint32_t low = *at_place(group, lane, w.low), high = *at_place(group, lane, w.high & 0x07ffffffu);
  const uint32_t window = (low | high << 8) >> (w.high >> 29) & ((1u << kWindow) - 1);
  return static_cast<float>(static_cast<int8_t>(levels[(w.high >> 27 & 3) << kWindow | window]));
}

}  // namespace vecpress::cuda
