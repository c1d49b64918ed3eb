// The block layout with NEON.
#include "core/target.hpp"
#include "blocks/blocks.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "blocks/blocks.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<PutRows> registered_put(Isa::neon, neon::put_blocks);
static const Register<GetRows> registered_get(Isa::neon, neon::get_block_rows);
}  // namespace vecpress

#endif
