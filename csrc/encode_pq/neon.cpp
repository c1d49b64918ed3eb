// Product quantizer encoding with NEON.
#include "core/centroids.hpp"
#include "core/target.hpp"
#include "encode_pq/encode_pq.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/chains.inl"

#include "core/nearest.inl"

#include "encode_pq/encode_pq.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<EncodePq> registered(Isa::neon, neon::encode_rows);
}  // namespace vecpress

#endif
