// The block layout with AVX2.
#include "core/target.hpp"
#include "blocks/blocks.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "blocks/blocks.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<PutRows> registered_put(Isa::avx2, avx2::put_blocks);
static const Register<GetRows> registered_get(Isa::avx2, avx2::get_block_rows);
}  // namespace vecpress

#endif
