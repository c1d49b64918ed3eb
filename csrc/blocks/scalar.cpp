// The block layout for the baseline machine.
#include "core/half.hpp"
#include "core/target.hpp"
#include "blocks/blocks.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "blocks/blocks.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<PutRows> registered_put(Isa::scalar, scalar::put_blocks);
static const Register<GetRows> registered_get(Isa::scalar, scalar::get_block_rows);
}  // namespace vecpress
