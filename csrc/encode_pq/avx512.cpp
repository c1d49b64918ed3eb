// Product quantizer encoding with AVX-512.
#include "core/centroids.hpp"
#include "core/target.hpp"
#include "encode_pq/encode_pq.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "core/chains.inl"

#include "core/nearest.inl"

#include "encode_pq/encode_pq.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<EncodePq> registered(Isa::avx512, avx512::encode_rows);
}  // namespace vecpress

#endif
