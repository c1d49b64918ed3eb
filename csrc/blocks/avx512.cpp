// The block layout with AVX-512.
#include "core/target.hpp"
#include "blocks/blocks.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "blocks/blocks.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<PutRows> registered_put(Isa::avx512, avx512::put_blocks);
static const Register<GetRows> registered_get(Isa::avx512, avx512::get_block_rows);
}  // namespace vecpress

#endif
