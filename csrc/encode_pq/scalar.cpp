// Product quantizer encoding for the baseline machine.
#include "core/half.hpp"
#include "core/centroids.hpp"
#include "core/target.hpp"
#include "encode_pq/encode_pq.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/chains.inl"

#include "core/nearest.inl"

#include "encode_pq/encode_pq.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<EncodePq> registered(Isa::scalar, scalar::encode_rows);
}  // namespace vecpress
