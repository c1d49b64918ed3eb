// Product quantizer encoding with AVX2.
#include "core/centroids.hpp"
#include "core/target.hpp"
#include "encode_pq/encode_pq.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "core/chains.inl"

#include "core/nearest.inl"

#include "encode_pq/encode_pq.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<EncodePq> registered(Isa::avx2, avx2::encode_rows);
}  // namespace vecpress

#endif
