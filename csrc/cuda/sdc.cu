// Symmetric scan of numbers of 1, 2 or 4 bits on a device. Definition: vecpress/ops/sdc.py.
//
//   sum = sum over t of (2 c_q - M)(2 c_i - M) = 2 sum over t of (2 c_q - M) c_i - M sum over t of (2 c_q - M)
//
// So a row's numbers are multiplied as they are with a query's as int8, and what is no number of the code meets a 0 of the query: neither a
// head nor what stands behind the payload has to be cut away. Few queries: 4 numbers an instruction, a thread a row: for 2 bits too, as
// counting the bits of pairs of planes takes 2 of the slow counts a word, and 4 of these products cost half of that. Batches: the tensor
// cores. 1 bit is dim less twice the bits that differ (core/bits.cuh), but for batches on devices without binary tensor cores.
#include "core/bits.cuh"
#include "core/numbers.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kLargestDim = 8192;  // LARGEST of vecpress/ops/sdc.py

struct Operand {
  uint8_t* bytes;  // [nq, steps, 32]
  int* sums;       // [nq]: of 2 c_q - M
};

std::size_t operand_bytes(int64_t nq, int64_t steps) {
  return aligned(static_cast<std::size_t>(nq * steps) * kDeep) + aligned(static_cast<std::size_t>(nq) * sizeof(int));
}

Operand operand_of(void* memory, int64_t nq, int64_t steps) {
  uint8_t* at = static_cast<uint8_t*>(memory);
  return {at, reinterpret_cast<int*>(at + aligned(static_cast<std::size_t>(nq * steps) * kDeep))};
}

// A warp a query.
template <int W>
__global__ void prepare_kernel(Operand out, const uint8_t* codes, int64_t nq, Planes planes, int size, int steps) {
  const int64_t q = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
  if (q >= nq) return;
  int sum = 0;
  for (int i = lane_id(); i < steps * kDeep; i += 32) {
    const int t = dimension_at<Form::kSplit, W>(planes, i / kDeep, i % kDeep);
    int number = 0;
    if (t >= 0) {
      const int label = codes[q * size + t * W / 8] >> shift_of(W, t % (8 / W)) & ((1 << W) - 1);
      number = 2 * label - ((1 << W) - 1);
    }
    out.bytes[q * steps * kDeep + i] = static_cast<uint8_t>(number);
    sum += number;
  }
  for (int by = 16; by; by /= 2) sum += __shfl_xor_sync(kAllLanes, sum, by);
  if (lane_id() == 0) out.sums[q] = sum;
}

__device__ __forceinline__ float weighed(int sum, const float* weights, int64_t q) {
  return weights ? __fmul_rn(static_cast<float>(sum), __ldg(weights + q)) : static_cast<float>(sum);
}

template <int W>
struct Rows {
  static constexpr bool kExact = true;
  using Sum = int;
  Numbers numbers;
  const int* query_sums;
  const float* weights;

  __device__ void stage(const Scan&, unsigned char* shared, int64_t q0, int count) const {
    if (count > 1) stage_bytes<8>(numbers, shared, q0, count);
    else stage_bytes<1>(numbers, shared, q0, count);
  }
  template <int Q>
  __device__ __forceinline__ void sums(const Scan&, const unsigned char* shared, const Row& row, int (&out)[Q]) const {
    Gathered none;
    products_of<Form::kSplit, W, false, Q>(row, numbers, reinterpret_cast<const uint4*>(shared), out, none);
  }
  __device__ __forceinline__ float sum_of(int product, int64_t q) const {
    return weighed(2 * product - ((1 << W) - 1) * __ldg(query_sums + q), weights, q);
  }
};

template <int W>
struct Tiles {
  static constexpr bool kExact = true;
  static constexpr Product kProduct = Product::kBytes;
  struct State {};
  Numbers numbers;
  const int* query_sums;
  const float* weights;
  const uint8_t* queries;
  int steps;

  __device__ __forceinline__ void fragment(const Scan& s, int64_t group, int half, int step, uint32_t (&a)[4], State&) const {
    fragment_of<Form::kSplit, W>(s.codes, numbers, group, half, step, a);
  }
  __device__ __forceinline__ void fetch_ahead(const Scan& s, int64_t group, int step) const {
    fetch_numbers<Form::kSplit, W>(s.codes, group, step, kSlab);
  }
  __device__ __forceinline__ void gather(State&) const {}
  __device__ __forceinline__ float sum_of(int product, int64_t q, const State&, int) const {
    return weighed(2 * product - ((1 << W) - 1) * __ldg(query_sums + q), weights, q);
  }
};

// 1 bit: counts of bits that differ.
struct BitSums {
  int dim;
  const float* weights;
  __device__ __forceinline__ float of(float different, int64_t q) const { return weighed(dim - 2 * static_cast<int>(different), weights, q); }
};
struct OneBitRows : BitRows {
  BitSums made;
  __device__ __forceinline__ float sum_of(int sum, int64_t q) const { return made.of(BitRows::sum_of(sum, q), q); }
};
struct OneBitTiles : BitTiles {
  BitSums made;
  __device__ __forceinline__ float sum_of(int shared, int64_t q, const State& state, int which) const {
    return made.of(BitTiles::sum_of(shared, q, state, which), q);
  }
};

template <int W>
int scan_numbers(const VpScan& a, const uint8_t* codes, int dim, const float* weights) {
  const Planes planes = planes_of(dim, W, a.codes.head);
  const int steps = static_cast<int>(steps_of<Form::kSplit, W>(dim, a.codes.code_size)), size = a.codes.code_size - a.codes.head;
  return run_scan(
      a, operand_bytes(a.nq, steps),
      [&](const Scan& s) {
        const int threads = kEmulated ? 64 : 128;
        return launch(prepare_kernel<W>, dim3(static_cast<unsigned>(s.nq * 32 / threads + 1)), dim3(static_cast<unsigned>(threads)), 0, s.stream,
                      operand_of(s.operand, s.nq, steps), codes, s.nq, planes, size, steps);
      },
      [&](const Scan& s, int64_t first, int64_t last) {
        const Operand o = operand_of(s.operand, s.nq, steps);
        const Numbers numbers = {planes, steps, o.bytes, nullptr, nullptr, nullptr};
        if (s.nq >= kBatch && (kEmulated || capability() >= 80))
          return launch_tiles(s, Tiles<W>{numbers, o.sums, weights, o.bytes, steps}, first, last);
        const Rows<W> rows = {numbers, o.sums, weights};
        const std::size_t row = static_cast<std::size_t>(steps) * kDeep;
        if (s.nq == 1 || row * 8 > 48 << 10) return launch_rows<1>(s, rows, row, first, last);
        return launch_rows<8>(s, rows, row * 8, first, last);
      });
}

int scan_one_bit(const VpScan& a, const uint8_t* codes, int dim, const float* weights) {
  const int steps = bit_steps(a.codes.code_size), last_bits = 255 << ((8 - dim % 8) % 8) & 255;
  return run_scan(
      a, bit_operand_bytes(a.nq, a.codes.code_size),
      [&](const Scan& s) { return prepare_bits(s, bit_operand_of(s.operand, s.nq, s.codes.code_size), codes, last_bits); },
      [&](const Scan& s, int64_t first, int64_t last) {
        const BitOperand o = bit_operand_of(s.operand, s.nq, s.codes.code_size);
        const BitSums made = {dim, weights};
        return scan_bits(s, OneBitRows{{o, 2 * steps}, made}, OneBitTiles{{o.queries, o.mask, o.bits, steps}, made}, first, last);
      });
}

// The emulator takes both ways of 1 bit, in turns of queries, as it has all tensor cores.
bool bits_as_numbers(int64_t nq) { return nq >= kBatch && (kEmulated ? nq % 2 == 1 : capability() >= 80 && !bits_by_tiles(nq)); }

bool good(const VpScan* a, int32_t dim, int32_t n_bits) {
  return a && dim >= 0 && dim <= kLargestDim && (n_bits == 1 || n_bits == 2 || n_bits == 4) && a->codes.head >= 0 &&
         a->codes.code_size - a->codes.head == packed_size(dim, n_bits);
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" size_t vp_cuda_sdc_operand(const VpScan* a, int32_t dim, int32_t n_bits, const float*) {
  if (!good(a, dim, n_bits) || a->nq < 1) return 0;
  if (n_bits == 1 && !bits_as_numbers(a->nq)) return bit_operand_bytes(a->nq, a->codes.code_size);
  const int64_t size = a->codes.code_size, steps = n_bits == 1   ? steps_of<Form::kSplit, 1>(dim, size)
                                                   : n_bits == 2 ? steps_of<Form::kSplit, 2>(dim, size)
                                                                 : steps_of<Form::kSplit, 4>(dim, size);
  return operand_bytes(a->nq, steps);
}

extern "C" int vp_cuda_sdc(const VpScan* a, const uint8_t* codes, int32_t dim, int32_t n_bits, const float* weights) {
  if (const int code = check_scan(a)) return code;
  if (!good(a, dim, n_bits) || (a->nq && dim && !codes)) return VP_CUDA_ARGUMENT;
  const int size = a->codes.code_size - a->codes.head;
  return by_parts(*a, [&](const VpScan& part, int64_t q0) {
    const uint8_t* its = codes + q0 * size;
    const float* weigh = weights ? weights + q0 : nullptr;
    if (n_bits == 4) return scan_numbers<4>(part, its, dim, weigh);
    if (n_bits == 2) return scan_numbers<2>(part, its, dim, weigh);
    return bits_as_numbers(part.nq) ? scan_numbers<1>(part, its, dim, weigh) : scan_one_bit(part, its, dim, weigh);
  });
}
