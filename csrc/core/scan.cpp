// Splits a scan over threads, by queries where there are enough of them and by rows otherwise, and merges. The result does not depend
// on the split: (score, id) is a total order and each row's score depends on the row and the query alone.
#include "core/scan.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/pool.hpp"

namespace vecpress {
namespace {

constexpr int64_t kQueryBatch = 256;          // bounds the memory for screens and collectors
constexpr int64_t kTileBytes = 256 << 10;     // codes that stay in the L2 cache while several queries pass over them
constexpr int64_t kTileWork = 4 << 20;        // bytes of code times queries between two looks at Control

// Rounds one query's tables float[m][entries] to 7 bits at one common step, and bounds what that, float summation and the addition of
// the query's constant lose.
Screen make_screen(const float* tables, int64_t m, int64_t entries, float constant, uint8_t* out) {
  Screen screen;
  screen.tables = out;
  double range = 0;
  std::vector<float> lows(static_cast<size_t>(m));
  for (int64_t j = 0; j < m; ++j) {
    const float* t = tables + j * entries;
    float low = t[0], high = t[0], largest = 0;
    for (int64_t c = 0; c < entries; ++c) {
      low = t[c] < low ? t[c] : low;
      high = t[c] > high ? t[c] : high;
      largest = std::fabs(t[c]) > largest ? std::fabs(t[c]) : largest;
    }
    lows[j] = low;
    range = std::max(range, static_cast<double>(high) - low);
    screen.base += low;
    screen.magnitude += largest;
  }
  const double largest_score = screen.magnitude + std::fabs(constant);
  if (!(largest_score < 1e37)) return screen;  // inf, nan, or sums that might overflow
  screen.step = range > 0 ? range / 127 : 1;
  const float step = static_cast<float>(screen.step), inverse = static_cast<float>(1 / screen.step);
  if (!(step > 1e-30f)) return screen;
  for (int64_t j = 0; j < m; ++j) {
    const float* t = tables + j * entries;
    uint8_t* o = out + j * entries;
    const float low = lows[j];
    float worst_over = 0, worst_under = 0;
    for (int64_t c = 0; c < entries; ++c) {
      const float above = t[c] - low;
      const float level = static_cast<float>(static_cast<int>(above * inverse + 0.5f));
      const float capped = level < 127.0f ? level : 127.0f;
      const float error = above - step * capped;
      o[c] = static_cast<uint8_t>(static_cast<int>(capped));
      worst_over = error > worst_over ? error : worst_over;
      worst_under = error < worst_under ? error : worst_under;
    }
    screen.high += worst_over;
    screen.low += worst_under;
  }
  // float32 rounds each of the m additions, and each of the few operations above per table, by at most 2^-24 of what they handle;
  // `step` as float differs from the double by as much, over at most 127 steps a table; the constant may round different sums to one score
  const double rounding =
      0x1p-24 * (static_cast<double>(m) + 8) * (screen.magnitude + 127 * screen.step * m) + 0x1p-23 * largest_score;
  screen.high += rounding;
  screen.low -= rounding;
  const double width = (screen.high - screen.low) / screen.step + 1;
  if (!(width < 65536)) return screen;
  screen.width = static_cast<uint32_t>(width);
  screen.usable = true;
  return screen;
}

}  // namespace

void run_scan(Scan scan, const ScanKernel& kernel, int threads, Control& control, float* scores, int64_t* ids) {
  const int64_t blocks = (scan.n + kBlock - 1) / kBlock;
  const int64_t block_bytes = std::max<int64_t>(1, scan.code_size * kBlock);
  const int64_t tables_per_plane = scan.entries == 16 ? 2 : 1;
  const int64_t screen_bytes = scan.payload * tables_per_plane * scan.entries;
  for (int64_t first = 0; first < scan.nq && !control.stop(); first += kQueryBatch) {
    const int64_t batch = std::min(kQueryBatch, scan.nq - first);

    std::vector<Screen> screens;
    std::unique_ptr<uint8_t[]> screen_tables;
    if (kernel.settle) {
      screens.resize(batch);
      screen_tables.reset(new uint8_t[static_cast<size_t>(screen_bytes * batch)]());  // an unused last nibble looks up 0
      const float* tables = static_cast<const float*>(scan.operand) + first * scan.m * scan.entries;
      parallel_rows(batch, 16, threads, control, [&](int64_t q0, int64_t q1) {
        for (int64_t q = q0; q < q1; ++q)
          screens[q] = make_screen(tables + q * scan.m * scan.entries, scan.m, scan.entries, scan.constant[first + q],
                                   screen_tables.get() + q * screen_bytes);
      });
    }

    // a task: some queries over some rows, with collectors of its own
    const bool by_query = batch >= 8 * static_cast<int64_t>(threads);
    const int64_t splits = by_query ? 1 : std::max<int64_t>(1, std::min<int64_t>(threads, blocks));
    const int64_t per_task = by_query && threads > 1 ? std::max<int64_t>(8, batch / (4 * threads)) : batch;
    const int64_t groups = (batch + per_task - 1) / per_task;
    const int64_t k = std::min(scan.k, std::max<int64_t>(1, scan.n));
    const int64_t entries_each = TopK::capacity(k), candidates_each = kernel.settle ? Reservoir::capacity(k) : 0;
    std::vector<Collector> collectors(static_cast<size_t>(splits * batch));
    std::unique_ptr<Entry[]> entries(new Entry[collectors.size() * entries_each]);
    std::unique_ptr<int64_t[]> rows(new int64_t[collectors.size() * candidates_each]);
    std::unique_ptr<uint32_t[]> sums(new uint32_t[collectors.size() * candidates_each]);
    for (size_t i = 0; i < collectors.size(); ++i) {
      collectors[i].top.entries = entries.get() + i * entries_each;
      collectors[i].reservoir.rows = rows.get() + i * candidates_each;
      collectors[i].reservoir.sums = sums.get() + i * candidates_each;
      collectors[i].top.k = collectors[i].reservoir.k = k;
      collectors[i].reservoir.restart();
    }

    Scan part = scan;
    part.screens = screens.data() - first;  // kernels index by query number
    parallel(splits * groups, threads, control, [&](int64_t task) {
      const int64_t split = task / groups, group = task % groups;
      const int64_t q0 = group * per_task, q1 = std::min(batch, q0 + per_task);
      const int64_t b0 = blocks * split / splits, b1 = blocks * (split + 1) / splits;
      const int64_t bytes = std::max(block_bytes, q1 - q0 > 1 ? std::min(kTileBytes, kTileWork / (q1 - q0)) : kTileWork);
      const int64_t tile = std::max<int64_t>(1, bytes / block_bytes);
      Collector* mine = collectors.data() + split * batch + q0;
      for (int64_t b = b0; b < b1 && !control.stop(); b += tile)
        kernel.run(part, first + q0, first + q1, b, std::min(b1, b + tile), mine);
      if (kernel.settle)
        for (int64_t q = q0; q < q1 && !control.stop(); ++q) kernel.settle(part, first + q, mine[q - q0]);
    });
    if (control.stop()) return;

    for (int64_t q = 0; q < batch; ++q) {
      std::vector<const Collector*> found;
      for (int64_t split = 0; split < splits; ++split) found.push_back(&collectors[static_cast<size_t>(split * batch + q)]);
      merge(found.data(), splits, scan.k, scores + (first + q) * scan.k, ids + (first + q) * scan.k);
    }
  }
}

}  // namespace vecpress
