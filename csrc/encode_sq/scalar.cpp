// Scalar quantisation for the baseline machine.
#include "core/half.hpp"
#include "encode_sq/encode_sq.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/runs.inl"

#include "pack_codes/planes.inl"

#include "encode_sq/steps.inl"

#include "encode_sq/encode_sq.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<EncodeSq> registered(Isa::scalar, scalar::encode_sq_rows);
}  // namespace vecpress
