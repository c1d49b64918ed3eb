// The search through the trellis for the baseline machine, row by row.
#include "core/half.hpp"
#include "core/target.hpp"
#include "encode_trellis/encode_trellis.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "encode_trellis/encode_trellis.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<EncodeTrellis> registered(Isa::scalar, scalar::encode_trellis_rows);
}  // namespace vecpress
