// What one core of this machine can do at best: read memory, multiply and add bytes, look bytes up in registers.
// Built and called by bench/limits.py. Each function returns seconds; the best of several passes is taken there.
#include <sys/mman.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vbmi,avx512vnni")))
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

volatile uint64_t sink;  // keeps the compiler from dropping the work

#if defined(__x86_64__)
#define REGISTER "+v"
#else
#define REGISTER "+w"
#endif

}  // namespace

extern "C" {

int cpu_has(const char* what) {
#if defined(__x86_64__)
  if (!std::strcmp(what, "avx512"))
    return __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw");
  if (!std::strcmp(what, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#elif defined(__aarch64__)
  if (!std::strcmp(what, "neon")) return 1;
#endif
  return 0;
}

// Memory that a scan would like best: aligned, on large pages where the system gives them.
uint8_t* make_buffer(int64_t bytes) {
  void* p = nullptr;
  if (posix_memalign(&p, 2 << 20, static_cast<size_t>(bytes))) return nullptr;
#if defined(MADV_HUGEPAGE)
  madvise(p, static_cast<size_t>(bytes), MADV_HUGEPAGE);
#endif
  std::memset(p, 1, static_cast<size_t>(bytes));
  return static_cast<uint8_t*>(p);
}

void free_buffer(uint8_t* p) { std::free(p); }

// Reads `bytes` (a multiple of 4096 * streams) `repeats` times as `streams` parallel runs, prefetching `ahead` bytes.
#define READ_LOOP(VECTOR, LOAD, XOR, ZERO, FOLD, WIDTH)                              \
  const int64_t part = bytes / streams;                                              \
  VECTOR total0 = ZERO, total1 = ZERO, total2 = ZERO, total3 = ZERO;                 \
  const double start = now();                                                        \
  for (int64_t r = 0; r < repeats; ++r)                                              \
    for (int64_t i = 0; i < part; i += 4 * WIDTH)                                    \
      for (int64_t s = 0; s < streams; ++s) {                                        \
        const uint8_t* p = data + s * part + i;                                      \
        if (ahead) __builtin_prefetch(p + ahead);                                    \
        total0 = XOR(total0, LOAD(p));                                               \
        total1 = XOR(total1, LOAD(p + WIDTH));                                       \
        total2 = XOR(total2, LOAD(p + 2 * WIDTH));                                   \
        total3 = XOR(total3, LOAD(p + 3 * WIDTH));                                   \
      }                                                                              \
  const double seconds = now() - start;                                              \
  FOLD;                                                                              \
  return seconds;

// `count` rounds of 12 independent steps on registers t0 .. t11, named one by one because an array of them would live in memory. The
// empty asm makes the compiler believe that they change.
#define TWELVE(M) M(t0) M(t1) M(t2) M(t3) M(t4) M(t5) M(t6) M(t7) M(t8) M(t9) M(t10) M(t11)
#define STEP_LOOP(VECTOR, FIRST, STEP, FOLD)                                                                         \
  VECTOR t0 = FIRST, t1 = FIRST, t2 = FIRST, t3 = FIRST, t4 = FIRST, t5 = FIRST, t6 = FIRST, t7 = FIRST, t8 = FIRST, \
         t9 = FIRST, t10 = FIRST, t11 = FIRST;                                                                       \
  const double start = now();                                                                                        \
  for (int64_t i = 0; i < count; ++i) {                                                                              \
    TWELVE(STEP)                                                                                                     \
    asm volatile(""                                                                                                  \
                 : REGISTER(t0), REGISTER(t1), REGISTER(t2), REGISTER(t3), REGISTER(t4), REGISTER(t5), REGISTER(t6), \
                   REGISTER(t7), REGISTER(t8), REGISTER(t9), REGISTER(t10), REGISTER(t11));                          \
  }                                                                                                                  \
  const double seconds = now() - start;                                                                              \
  TWELVE(FOLD)                                                                                                       \
  return seconds;

#if defined(__x86_64__)
#define LOAD512(p) _mm512_loadu_si512(p)
#define LOAD256(p) _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))

AVX512 double read_avx512(const uint8_t* data, int64_t bytes, int64_t streams, int64_t ahead, int64_t repeats) {
  READ_LOOP(__m512i, LOAD512, _mm512_xor_si512, _mm512_setzero_si512(),
            sink = _mm_cvtsi128_si64(_mm512_castsi512_si128(total0 ^ total1 ^ total2 ^ total3)), 64)
}
AVX2 double read_avx2(const uint8_t* data, int64_t bytes, int64_t streams, int64_t ahead, int64_t repeats) {
  READ_LOOP(__m256i, LOAD256, _mm256_xor_si256, _mm256_setzero_si256(),
            sink = _mm256_extract_epi64(total0 ^ total1 ^ total2 ^ total3, 0), 32)
}

#define FOLD512(t) sink = _mm_cvtsi128_si64(_mm512_castsi512_si128(t));
#define FOLD256(t) sink = static_cast<uint64_t>(_mm256_extract_epi64(t, 0));

// 64 byte multiply-accumulates a step (AVX-512 VNNI).
AVX512 double int8_avx512(int64_t count) {
  const __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
#define STEP(t) t = _mm512_dpbusd_epi32(t, a, b);
  STEP_LOOP(__m512i, _mm512_setzero_si512(), STEP, FOLD512)
#undef STEP
}
// 32 byte multiply-accumulates a step: vpmaddubsw, vpmaddwd, vpaddd.
AVX2 double int8_avx2(int64_t count) {
  const __m256i a = _mm256_set1_epi8(3), one = _mm256_set1_epi16(1);
#define STEP(t) t = _mm256_add_epi32(t, _mm256_madd_epi16(_mm256_maddubs_epi16(a, t), one));
  STEP_LOOP(__m256i, _mm256_setzero_si256(), STEP, FOLD256)
#undef STEP
}
// 64 bytes looked up in a 64-byte table a step (vpermb).
AVX512 double permute_avx512(int64_t count) {
  const __m512i table = _mm512_set1_epi8(7);
#define STEP(t) t = _mm512_permutexvar_epi8(t, table);
  STEP_LOOP(__m512i, _mm512_set1_epi8(9), STEP, FOLD512)
#undef STEP
}
// 64 bytes looked up in 16-byte tables a step (vpshufb).
AVX512 double shuffle_avx512(int64_t count) {
  const __m512i table = _mm512_set1_epi8(7);
#define STEP(t) t = _mm512_shuffle_epi8(table, t);
  STEP_LOOP(__m512i, _mm512_set1_epi8(9), STEP, FOLD512)
#undef STEP
}
// 32 bytes a step.
AVX2 double shuffle_avx2(int64_t count) {
  const __m256i table = _mm256_set1_epi8(7);
#define STEP(t) t = _mm256_shuffle_epi8(table, t);
  STEP_LOOP(__m256i, _mm256_set1_epi8(9), STEP, FOLD256)
#undef STEP
}
#elif defined(__aarch64__)
double read_neon(const uint8_t* data, int64_t bytes, int64_t streams, int64_t ahead, int64_t repeats) {
  READ_LOOP(uint8x16_t, vld1q_u8, veorq_u8, vdupq_n_u8(0), sink = vaddvq_u8(total0 ^ total1 ^ total2 ^ total3), 16)
}
// 16 bytes looked up a step (tbl).
double shuffle_neon(int64_t count) {
  const uint8x16_t table = vdupq_n_u8(7);
#define STEP(t) t = vqtbl1q_u8(table, t);
#define FOLD(t) sink = vaddvq_u8(t);
  STEP_LOOP(uint8x16_t, vdupq_n_u8(9), STEP, FOLD)
}
#endif

}  // extern "C"
