// Scalar quantisation with NEON.
#include "core/target.hpp"
#include "encode_sq/encode_sq.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/runs.inl"

#include "pack_codes/planes.inl"

#include "encode_sq/steps.inl"

#include "encode_sq/encode_sq.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<EncodeSq> registered(Isa::neon, neon::encode_sq_rows);
}  // namespace vecpress

#endif
