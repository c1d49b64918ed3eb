// The outside of every scan: workspace, pieces of the rows, what may be among the k best, and their choice.
//
// Rows are scanned in pieces. A row whose score reaches the query's bar, the k-th best of the pieces before, is a candidate; after each
// piece the k best candidates stay and set the bar. The first piece is short and each is up to 16 times as long as what came before, so that of
// rows in no special order some 16 k pass of each. There is room for a whole piece, so nothing is lost whatever the order, nothing
// has to be counted by the host, and launches depend on n, nq and k alone: a scan can be captured into a graph.
#pragma once

#include <cstdint>

#include "api.h"
#include "core/codes.cuh"

namespace vecpress::cuda {

struct Candidate {
  uint32_t score, row;  // the score's bits
};

// What a candidate must reach: a higher score, or the same and a lower id. The first bar is below every score.
struct alignas(16) Bar {
  uint32_t score;  // as `order` has it
  uint32_t unused;
  int64_t id;
};

struct Scan {
  Codes codes;
  const int64_t* ids;
  const uint64_t* allow;
  Factor scale, bias;
  const float* constant;
  int64_t nq, k, room;  // k: at most n; room: candidates of a query
  Bar* bars;            // [nq]
  uint32_t* counts;     // [nq]
  Candidate* candidates;  // [nq, room]
  float* scores;
  int64_t* found;
  int64_t wide;  // places of a query in the results
  void* operand;
  Stream stream;
};

__device__ __forceinline__ int64_t id_of(const Scan& s, uint32_t row) { return s.ids ? s.ids[row] : static_cast<int64_t>(row); }

__device__ __forceinline__ bool allowed(const Scan& s, int64_t row) {
  return !s.allow || (s.allow[row >> 6] >> (row & 63) & 1);
}

__device__ __forceinline__ float constant_of(const Scan& s, int64_t q) { return s.constant ? __ldg(s.constant + q) : 0.0f; }

// A query's bar as a number that no score which reaches it is below: not a number where there is no bar yet.
__device__ __forceinline__ float bar_of(const Scan& s, int64_t q) { return __uint_as_float(bits_of_order(__ldg(&s.bars[q].score))); }

// A row's factors, read once for all queries.
struct RowFactors {
  float scale, bias;
  bool biased;
  __device__ __forceinline__ RowFactors(const Scan& s, const Row& row)
      : scale(factor_value(s.scale, row)), bias(s.bias.kind ? factor_value(s.bias, row) : 0.0f), biased(s.bias.kind != kNone) {}
  __device__ __forceinline__ float finish(float sum, float constant) const { return finished(sum, scale, biased, bias, constant); }
};

__device__ __forceinline__ bool reaches(const Scan& s, const Bar& bar, float score, uint32_t row) {
  const uint32_t key = order(score);
  return key > bar.score || (key == bar.score && id_of(s, row) < bar.id);
}

__device__ __forceinline__ void offer(const Scan& s, int64_t q, float score, uint32_t row) {
  const uint32_t at = atomicAdd(&s.counts[q], 1u);
  if (at < s.room) s.candidates[q * s.room + at] = {__float_as_uint(score), row};
}

// The same for the rows of a warp, by all of its lanes: one addition for those that enter.
__device__ __forceinline__ void offer_rows(const Scan& s, int64_t q, bool enters, float score, uint32_t row) {
  const unsigned who = __ballot_sync(kAllLanes, enters);
  if (!who) return;
  const int lane = lane_id(), leader = __ffs(static_cast<int>(who)) - 1;
  uint32_t first = 0;
  if (lane == leader) first = atomicAdd(&s.counts[q], static_cast<uint32_t>(__popc(who)));
  first = __shfl_sync(kAllLanes, first, leader);
  const uint32_t at = first + static_cast<uint32_t>(__popc(who & ((1u << lane) - 1)));
  if (enters && at < s.room) s.candidates[q * s.room + at] = {__float_as_uint(score), row};
}

constexpr int64_t kFirstPiece = 8192, kGrowth = 16, kLargestPiece = int64_t{1} << 24;

inline std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }
inline int64_t power_of_two(int64_t x) {
  int64_t p = 1;
  while (p < x) p *= 2;
  return p;
}
// Places that the k best take, which are sorted where they lie, and the least beside them.
inline int64_t places_of_best(int64_t n, int64_t k) { return power_of_two(k < n ? k : n); }

inline std::size_t scan_bytes(int64_t nq, int64_t room, std::size_t operand) {
  return aligned(operand) + aligned(static_cast<std::size_t>(nq) * sizeof(Bar)) + aligned(static_cast<std::size_t>(nq) * 4) +
         aligned(static_cast<std::size_t>(nq) * static_cast<std::size_t>(room) * sizeof(Candidate));
}

int choose_best(const Scan& s, bool last);  // select.cu: the k best candidates stay; the last time, they are the results
int begin_scan(const Scan& s);              // select.cu: bars below every score, no candidates
int multiprocessors();                      // api.cu, of the current device
int capability();                           // api.cu, 90 is 9.0

inline bool bad_factor(const VpFactor& f, int32_t code_size) {
  return f.kind < 0 || f.kind >= kFactorKinds || (f.kind == kU1 && !f.table) ||
         (f.kind && (f.offset < 0 || f.offset + factor_width(f.kind) > code_size));
}

// Why a scan cannot be, before anything is launched.
inline int check_scan(const VpScan* a) {
  if (!a) return VP_CUDA_ARGUMENT;
  const VpCodes& c = a->codes;
  if (c.n < 0 || c.n >= int64_t{1} << 32 || c.head < 0 || c.code_size < c.head || c.stride < c.code_size) return VP_CUDA_ARGUMENT;
  if (a->nq < 0 || a->nq >= int64_t{1} << 31 || a->k < 1 || (c.n && c.stride && !c.data)) return VP_CUDA_ARGUMENT;
  if (bad_factor(a->scale, c.code_size) || bad_factor(a->bias, c.code_size)) return VP_CUDA_ARGUMENT;
  if (a->nq && (!a->scores || !a->found || !a->workspace)) return VP_CUDA_ARGUMENT;
  if (reinterpret_cast<uintptr_t>(a->workspace) % 256) return VP_CUDA_ARGUMENT;
  return VP_CUDA_OK;
}

// Queries that one launch takes, for tiles of them are a grid's second axis, which holds so many. More are scanned one part after the other:
// scan(part, first) those from `first` on, in the workspace that all of them would have.
constexpr int64_t kMostQueriesAtOnce = kEmulated ? 200 : 65535;
template <class Part>
inline int by_parts(const VpScan& a, Part scan) {
  int code = VP_CUDA_OK;
  for (int64_t first = 0; first < a.nq && !code; first += kMostQueriesAtOnce) {
    VpScan part = a;
    part.nq = a.nq - first < kMostQueriesAtOnce ? a.nq - first : kMostQueriesAtOnce;
    part.scores += first * a.k;
    part.found += first * a.k;
    if (a.constant) part.constant += first;
    code = scan(part, first);
  }
  return code;
}

// Runs a scan whose `prepare(scan)` makes of the queries what `piece(scan, first, last)` scores rows first .. last - 1 with, into
// scan.operand, of `operand` bytes. `first` is a multiple of 32.
template <class Prepare, class Piece>
inline int run_scan(const VpScan& a, std::size_t operand, Prepare prepare, Piece piece) {
  if (a.nq == 0) return VP_CUDA_OK;
  Scan s;
  s.codes = {static_cast<const uint8_t*>(a.codes.data), a.codes.n, a.codes.code_size, a.codes.head, a.codes.stride};
  s.ids = a.ids;
  s.allow = a.allow;
  s.scale = {a.scale.kind, a.scale.offset, a.scale.times, a.scale.table};
  s.bias = {a.bias.kind, a.bias.offset, a.bias.times, a.bias.table};
  s.constant = a.constant;
  const int64_t n = a.codes.n;
  s.nq = a.nq;
  s.k = a.k < n ? a.k : n;
  s.wide = a.k;
  s.scores = a.scores;
  s.found = a.found;
  s.stream = static_cast<Stream>(a.stream);
  const int64_t best = places_of_best(n, a.k);
  const std::size_t fixed = scan_bytes(a.nq, 0, operand);
  const std::size_t least = scan_bytes(a.nq, best + kGroup, operand);
  if (a.workspace_bytes < least) return VP_CUDA_WORKSPACE;
  const int64_t fits = static_cast<int64_t>((a.workspace_bytes - fixed - 256) / (static_cast<std::size_t>(a.nq) * sizeof(Candidate))) - best;
  int64_t longest = fits < kLargestPiece ? fits : kLargestPiece;
  longest = longest / kGroup * kGroup;
  if (longest < kGroup) longest = kGroup;
  s.room = best + longest;
  uint8_t* at = static_cast<uint8_t*>(a.workspace);
  s.operand = at;
  at += aligned(operand);
  s.bars = reinterpret_cast<Bar*>(at);
  at += aligned(static_cast<std::size_t>(a.nq) * sizeof(Bar));
  s.counts = reinterpret_cast<uint32_t*>(at);
  at += aligned(static_cast<std::size_t>(a.nq) * 4);
  s.candidates = reinterpret_cast<Candidate*>(at);

  int code = begin_scan(s);
  if (!code) code = prepare(s);
  int64_t length = kFirstPiece < 8 * best ? 8 * best : kFirstPiece;
  for (int64_t first = 0; first < n && !code;) {
    if (length > longest) length = longest;
    const int64_t last = n - first < length ? n : first + length;
    code = piece(s, first, last);
    first = last;
    if (!code) code = choose_best(s, first == n);
    length = first * kGrowth;
  }
  return !code && n == 0 ? choose_best(s, true) : code;
}

}  // namespace vecpress::cuda
