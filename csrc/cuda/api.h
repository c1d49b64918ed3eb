/* The library's C interface: no C++ types, no allocation by what computes, no hidden synchronisation.
 *
 * Pointers are the device's unless said otherwise. Work is put into `stream` (a cudaStream_t; NULL is the default one) of the current device and
 * the call returns; every call can be captured into a graph. Results are complete when the stream is. Calls of several threads do not
 * disturb each other. Every function returns VP_CUDA_OK or a code that vp_cuda_message explains, and has then written nothing.
 *
 * Scans give what vecpress/ops/<op>.py defines, bit for bit. */
#ifndef VECPRESS_CUDA_API_H
#define VECPRESS_CUDA_API_H

#include <stddef.h>
#include <stdint.h>

#include "core/codes_of_errors.h"

#if defined(_WIN32)
#define VP_CUDA_API __declspec(dllexport)
#else
#define VP_CUDA_API __attribute__((visibility("default")))
#endif

#define VP_CUDA_ABI 1

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what there is */

VP_CUDA_API int vp_cuda_abi(void);                /* VP_CUDA_ABI of the library */
VP_CUDA_API int vp_cuda_emulated(void);           /* 1 where kernels run on the processor: for tests, not for use */
VP_CUDA_API int64_t vp_cuda_exact_rows(void);     /* rows that screens did not skip so far, counted where emulated; else -1 */
VP_CUDA_API const char* vp_cuda_message(int code); /* what a code means, on the host */
VP_CUDA_API int vp_cuda_driver(int* version);      /* such as 13000, 0 without a driver; host pointer */
VP_CUDA_API int vp_cuda_devices(int* count);       /* host pointer */
VP_CUDA_API int vp_cuda_name(int device, char* name, size_t bytes, int* capability, int* processors, size_t* memory); /* host; 90 is 9.0 */
VP_CUDA_API int vp_cuda_probe(int device);         /* runs an empty kernel: whether the library has code for the device */

/* ---- memory, for callers without a framework; `device` is made current for the call */

VP_CUDA_API int vp_cuda_allocate(int device, size_t bytes, void** out);
VP_CUDA_API int vp_cuda_free(int device, void* memory);
VP_CUDA_API int vp_cuda_copy(int device, void* to, const void* from, size_t bytes, void* stream); /* either side host or device */
VP_CUDA_API int vp_cuda_fill(int device, void* to, int byte, size_t bytes, void* stream);
VP_CUDA_API int vp_cuda_wait(int device, void* stream); /* until the stream is done: synchronises, as its name says */
VP_CUDA_API int vp_cuda_wait_all(int device);           /* until everything on the device is done */
VP_CUDA_API int vp_cuda_set_device(int device, int* before); /* host pointer, may be NULL */

/* ---- codes: uint8[n, stride] in groups of 32 rows (core/codes.cuh) */

typedef struct {
  const void* data;
  int64_t n;                       /* below 2^32 */
  int32_t code_size, head, stride; /* bytes that are scanned; of them before the payload; bytes that are stored */
} VpCodes;

VP_CUDA_API int64_t vp_cuda_codes_bytes(int64_t n, int32_t stride); /* what `data` takes; 0 for arguments that are none */
/* Canonical codes [count, stride] to rows first .. first + count - 1; what is left of the last of these rows' groups becomes zeros. */
VP_CUDA_API int vp_cuda_put_rows(void* data, int32_t stride, int64_t first, int64_t count, const void* codes, void* stream);
/* The canonical codes [count, stride] of int64 rows [count]. */
VP_CUDA_API int vp_cuda_get_rows(void* codes, const void* data, int32_t stride, const int64_t* rows, int64_t count, void* stream);
/* Canonical codes [count, stride] to different rows, int64 [count], inside groups that `data` has. */
VP_CUDA_API int vp_cuda_set_rows(void* data, int32_t stride, const int64_t* rows, int64_t count, const void* codes, void* stream);

/* ---- scans */

typedef struct {
  int32_t kind, offset; /* KINDS of vecpress/ops/factors.py; first byte in the code */
  float times;          /* what the number is multiplied with; the factor itself where kind is 0 */
  const float* table;   /* [256] for kind 3, else NULL */
} VpFactor;

typedef struct {
  VpCodes codes;
  const int64_t* ids;     /* [n], NULL: rows */
  const uint64_t* allow;  /* [ceil(n / 64)] bits, NULL: all rows */
  VpFactor scale, bias;   /* bias of kind 0: none */
  const float* constant;  /* [nq], NULL: 0 */
  int64_t nq, k;          /* nq: below 2^31 */
  float* scores;          /* out [nq, k], nan where there are fewer rows */
  int64_t* found;         /* out [nq, k], -1 there */
  void* workspace;        /* 256-byte aligned */
  size_t workspace_bytes; /* more of it means fewer passes over what was found, up to what the function below names */
  void* stream;
} VpScan;

/* Bytes for a scan of such a size, the least and the most that are of use; host pointers. `operand` is what the scan's own function of this
 * name says it wants beside. */
VP_CUDA_API int vp_cuda_scan_workspace(int64_t n, int64_t nq, int64_t k, size_t operand, size_t* least, size_t* most);

VP_CUDA_API size_t vp_cuda_hamming_operand(const VpScan* scan);
VP_CUDA_API int vp_cuda_hamming(const VpScan* scan, const uint8_t* bits); /* bits [nq, code_size - head] */

VP_CUDA_API size_t vp_cuda_flat_operand(const VpScan* scan, int bytes, int l2);
/* rows [nq, d]; components of 4 bytes (float32) or 2 (float16), d = (code_size - head) / bytes; squared distances where l2 */
VP_CUDA_API int vp_cuda_flat(const VpScan* scan, const float* rows, int bytes, int l2);

/* rows [nq, m]; words: uint8 [count, 2] of host memory, read before the call returns, and the same on the device; levels int8 [4, 2^window], window
 * 6 or 8; tables [nq, labels, 256], NULL without labels. m is at most 131040, words' last fours filled up. */
VP_CUDA_API size_t vp_cuda_trellis_operand(const VpScan* scan, const uint8_t* words, const uint8_t* words_there, int64_t count, const int8_t* levels,
                                           int window, const float* tables, int32_t labels);
VP_CUDA_API int vp_cuda_trellis(const VpScan* scan, const float* rows, const uint8_t* words, const uint8_t* words_there, int64_t count,
                                const int8_t* levels, int window, const float* tables, int32_t labels);

/* rows [nq, d]; levels [2^n_bits] or NULL for even ones; l2: 1 for squared distances, which take no bias */
VP_CUDA_API size_t vp_cuda_dot_operand(const VpScan* scan, int64_t d, const float* levels, int32_t n_bits, int32_t l2);
VP_CUDA_API int vp_cuda_dot(const VpScan* scan, const float* rows, int64_t d, const float* levels, int32_t n_bits, int32_t l2);

/* codes [nq, code_size - head], numbers of n_bits (1, 2, 4) packed as the rows' payload; weights [nq] or NULL for 1 */
VP_CUDA_API size_t vp_cuda_sdc_operand(const VpScan* scan, int32_t dim, int32_t n_bits, const float* weights);
VP_CUDA_API int vp_cuda_sdc(const VpScan* scan, const uint8_t* codes, int32_t dim, int32_t n_bits, const float* weights);
/* ---- rows: arrays are C-contiguous, shapes and meaning those of vecpress/ops/<op>.py. Results are written whole. A workspace is 256-byte
 * aligned; vp_cuda_<op>_workspace says the least bytes that do and the most that help (host pointers). */

VP_CUDA_API int vp_cuda_project(float* out, const float* x, const float* matrix, const float* offset, int64_t n, int64_t d, int64_t p,
                                void* stream); /* offset NULL: 0 */
VP_CUDA_API int vp_cuda_tables(float* out, const float* q, const float* codebooks, int64_t nq, int64_t m, int64_t ks, int64_t dsub, int l2,
                               int by_column, void* stream);
VP_CUDA_API int vp_cuda_assign_workspace(int64_t n, int64_t d, int64_t k, size_t* least, size_t* most);
VP_CUDA_API int vp_cuda_assign(int32_t* labels, float* distances, const float* x, const float* centroids, int64_t n, int64_t d, int64_t k,
                               void* workspace, size_t workspace_bytes, void* stream);
VP_CUDA_API int vp_cuda_encode_pq_workspace(int64_t m, int64_t ks, int64_t dsub, size_t* least, size_t* most);
VP_CUDA_API int vp_cuda_encode_pq(uint8_t* out, const float* x, const float* codebooks, int64_t n, int64_t m, int64_t ks, int64_t dsub,
                                  int by_column, void* workspace, size_t workspace_bytes, void* stream);
VP_CUDA_API int vp_cuda_label_sums_workspace(int64_t n, int64_t k, size_t* least, size_t* most);
VP_CUDA_API int vp_cuda_label_sums(double* out, const float* x, const int32_t* labels, int64_t n, int64_t d, int64_t k, void* workspace,
                                   size_t workspace_bytes, void* stream); /* labels beyond k - 1 are not looked for */
VP_CUDA_API int vp_cuda_norms(float* out, const float* x, int64_t n, int64_t d, void* stream);
/* first: int64[1] on the device */
VP_CUDA_API int vp_cuda_pack_bits(uint8_t* out, int64_t* first, const float* x, const float* thresholds, float largest, int64_t n, int64_t d,
                                  void* stream);
VP_CUDA_API int vp_cuda_encode_sq(uint8_t* out, int64_t* first, const float* x, const float* low, const float* step, int32_t n_bits, float largest,
                                  int64_t n, int64_t d, void* stream);
VP_CUDA_API int vp_cuda_quantize(uint8_t* out, const float* x, const float* thresholds, int32_t count, int64_t items, void* stream);
VP_CUDA_API int vp_cuda_pack_codes(uint8_t* out, const uint8_t* labels, int32_t n_bits, int64_t n, int64_t d, void* stream);
VP_CUDA_API int vp_cuda_unpack_codes(uint8_t* out, const uint8_t* codes, int32_t n_bits, int64_t n, int64_t d, void* stream);
VP_CUDA_API int vp_cuda_rotate(float* out, const float* x, const uint8_t* signs, int64_t n, int64_t d, int inverse, void* stream); /* not in place */
VP_CUDA_API int vp_cuda_encode_grid(uint8_t* labels, double* sums, const float* y, const float* along, int32_t n_bits, int64_t n, int64_t d,
                                    void* stream);
/* words: uint8 [count, 2] of host memory, read before the call returns; levels int8 [4, 2^window], window 6 or 8 */
VP_CUDA_API int vp_cuda_encode_trellis(uint8_t* codes, int8_t* values, const float* y, const uint8_t* words, int64_t count, const int8_t* levels,
                                       int window, int64_t n, void* stream);
/* costs [n, ks], pairs [labels * ks, ks], paths uint8 [n, b, labels], labels below ks, scores [n, b]; keep at most b * ks */
VP_CUDA_API int vp_cuda_beam_step(uint8_t* grown, float* best, const float* costs, const float* pairs, const uint8_t* paths, const float* scores,
                                  int64_t n, int32_t ks, int32_t b, int32_t labels, int32_t keep, void* stream);
/* books [depth, 256, d]; entries, factors, squares of the last `steps` of them; pairs int8 [.., 256, 256]; paths uint8 [n, b, depth - steps], NULL
 * where they have no labels; scores [n, b]; found [n, last, depth], reached [n, last], rest [n, d], which serves as memory on the way: not y's.
 * d is at most 2^18; entries, squares and pairs are 16-byte aligned */
VP_CUDA_API int vp_cuda_search_labels(uint8_t* found, float* reached, float* rest, const float* y, const float* books, const uint8_t* entries,
                                      const float* factors, const float* squares, const int8_t* pairs, const uint8_t* paths, const float* scores,
                                      int64_t n, int64_t d, int32_t depth, int32_t steps, int32_t b, int32_t beam, int32_t last, void* stream);
VP_CUDA_API size_t vp_cuda_lut4_operand(const VpScan* scan, int32_t m);
VP_CUDA_API int vp_cuda_lut4(const VpScan* scan, const float* tables, int32_t m); /* [nq, m, 16], m = 2 (code_size - head), or one less */
VP_CUDA_API size_t vp_cuda_lut8_operand(const VpScan* scan);
VP_CUDA_API int vp_cuda_lut8(const VpScan* scan, const float* tables); /* [nq, code_size - head, 256] */

#ifdef __cplusplus
}
#endif
#endif
