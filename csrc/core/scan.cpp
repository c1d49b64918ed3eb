// Splits a scan over threads, by queries where there are enough of them and by rows otherwise, and merges. The result does not depend
// on the split: (score, id) is a total order and each row's score depends on the row and the query alone.
#include "core/scan.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>

#include "core/allowed.hpp"
#include "core/pool.hpp"

namespace vecpress {
namespace {

constexpr int64_t kQueryBatch = 256;          // queries prepared together, fewer where kBatchBytes says so
constexpr int64_t kBatchBytes = 32 << 20;     // of screens and collectors held at a time
constexpr int64_t kTileBytes = 256 << 10;     // codes that stay in the L2 cache while several queries pass over them
constexpr int64_t kTileWork = 8 << 20;        // bytes of code times queries between two looks at Control
constexpr int64_t kLine = 64;                 // bytes of a cache line: vectors of tables should not lie across two
constexpr int64_t kThreadWork = 1 << 20;      // and for which it pays to wake a thread
constexpr int64_t kTilesEach = 8;             // tiles a thread, at least, where rows are shared out, so that none waits long for another
constexpr int64_t kLeastTile = 32 << 10;      // bytes

// Memory for what a batch of queries collects, `splits` collectors a query, in query order within a split.
struct Collectors {
  std::vector<Collector> all;
  std::unique_ptr<Entry[]> entries;
  std::unique_ptr<Candidate[]> candidates;

  // No collector ever holds more than all n rows.
  static int64_t entries_each(int64_t k, int64_t n) { return std::min(TopK::capacity(k), n + 1); }
  static int64_t candidates_each(int64_t k, int64_t n) { return std::min(Reservoir::capacity(k), n + kBlock); }
  static int64_t bytes_each(int64_t k, int64_t n, bool screened) {
    const int64_t candidate = sizeof(Candidate);
    return entries_each(k, n) * static_cast<int64_t>(sizeof(Entry)) + (screened ? candidates_each(k, n) * candidate : 0);
  }

  Collectors(int64_t count, int64_t k, int64_t n, bool screened) : all(static_cast<size_t>(count)) {
    const int64_t some = entries_each(k, n), more = screened ? candidates_each(k, n) : 0;
    entries.reset(new Entry[static_cast<size_t>(count * some)]);
    candidates.reset(new Candidate[static_cast<size_t>(count * more)]);
    for (int64_t i = 0; i < count; ++i) {
      Collector& c = all[static_cast<size_t>(i)];
      c.top.entries = entries.get() + i * some;
      c.reservoir.candidates = candidates.get() + i * more;
      c.start(k, Foretold());
    }
  }
};

// Some blocks, evenly spaced, from which to foretell a score that k rows of all reach: that of the rank-th best among them. Above it far
// fewer rows are collected than above a bar that has to rise from nothing, k ln(n / k). It is no more than a guess: the scan is right if k
// rows did score higher in the end, and is made again without it where not.
struct Sample {
  std::vector<int64_t> blocks;
  int64_t rank = 0;

  Sample() {}
  Sample(const Scan& s, int64_t all_blocks, int64_t k) {
    if (s.allow && s.nq < kListQueries) return;  // to count the list would take longer than it saves
    const auto rows_of = [&](int64_t b) -> int64_t { return s.allow ? __builtin_popcountll(s.allow[b]) : kBlock; };
    int64_t rows = 0, filled = 0;
    for (int64_t b = 0; s.allow && b < all_blocks; ++b) {
      rows += rows_of(b);
      filled += s.allow[b] != 0;
    }
    if (!s.allow) rows = s.n, filled = all_blocks;
    int64_t spacing = 0;
    double most = 0;
    for (const int64_t every : {int64_t{16}, int64_t{32}, int64_t{64}, int64_t{128}}) {
      const double share = 1 / static_cast<double>(every), sampled = share * static_cast<double>(rows);
      const double before = collected(static_cast<double>(k), static_cast<double>(rows));
      const double after = rank_of(k, share) / share + collected(rank_of(k, share), sampled);
      const double spared = before - after - sampled / kRowsPerCandidate;
      if (filled >= 8 * every && spared > most) spacing = every, most = spared;
    }
    if (!spacing) return;
    int64_t place = 0, sampled = 0;
    for (int64_t b = 0; b < all_blocks; ++b)
      if ((!s.allow || s.allow[b]) && place++ % spacing == spacing / 2) {
        blocks.push_back(b);
        sampled += rows_of(b);
      }
    rank = static_cast<int64_t>(rank_of(k, static_cast<double>(sampled) / static_cast<double>(rows)));
  }

 private:
  static constexpr int64_t kListQueries = 16;
  static constexpr double kRowsPerCandidate = 16;  // that are scanned in the time that one takes to collect

  // How many of the k best lie in a share of the rows, and three standard deviations more.
  static double rank_of(int64_t k, double share) {
    const double expected = static_cast<double>(k) * share;
    return std::ceil(expected + 3 * std::sqrt(expected) + 2);
  }
  // Rows in random order of which each enters that is among the k best so far.
  static double collected(double k, double rows) { return k * (1 + std::log(std::max(1.0, rows / k))); }
};

void scan_rows(Scan scan, const ScanKernel& kernel, int threads, Control& control, float* scores, int64_t* ids) {
  const int64_t blocks = (scan.n + kBlock - 1) / kBlock;
  const int64_t block_bytes = std::max<int64_t>(1, scan.code_size * kBlock);
  const bool screened = kernel.settle != nullptr;
  const int64_t screen_bytes = screened ? (kernel.screen_bytes(scan) + kLine - 1) / kLine * kLine : 0;
  const int64_t k = std::min(scan.k, std::max<int64_t>(1, scan.n));
  const double work = static_cast<double>(blocks) * static_cast<double>(block_bytes) * static_cast<double>(scan.nq);
  if (work < static_cast<double>(kThreadWork) * threads) threads = 1 + static_cast<int>(work / kThreadWork);
  const int64_t row_splits = std::max<int64_t>(1, std::min<int64_t>(threads, blocks));
  const int64_t query_bytes = screen_bytes + row_splits * Collectors::bytes_each(k, scan.n, screened);
  const int64_t most = std::max<int64_t>(1, std::min(kQueryBatch, kBatchBytes / std::max<int64_t>(1, query_bytes)));
  Levels levels{};
  if (kernel.prepare) {
    kernel.prepare(scan, levels);
    scan.levels = &levels;
  }
  const Sample sample = screened ? Sample(scan, blocks, k) : Sample();
  int64_t misled = 0;  // queries, by the sample
  for (int64_t first = 0; first < scan.nq && !control.stop(); first += most) {
    const int64_t end = std::min(scan.nq, first + most);

    std::vector<Screen> screens;
    std::unique_ptr<uint8_t[]> memory;
    if (screened) {
      screens.resize(static_cast<size_t>(end - first));
      memory.reset(new uint8_t[static_cast<size_t>(screen_bytes * (end - first) + kLine)]());  // zeros where there is nothing: an unused last nibble
      uint8_t* const numbers = memory.get() + (kLine - reinterpret_cast<uintptr_t>(memory.get()) % kLine) % kLine;
      parallel_rows(end - first, 16, threads, control, [&](int64_t q0, int64_t q1) {
        for (int64_t q = q0; q < q1; ++q) screens[q] = kernel.screen(scan, first + q, numbers + q * screen_bytes);
      });
    }
    Scan part = scan;
    part.screens = screens.data() - first;  // kernels index by query number

    // Queries [begin, stop), of each of which something may be foretold.
    const auto scan_all = [&](int64_t begin, int64_t stop, const Foretold* foretold) {
      // a task: some queries over all rows, or all queries over what tiles it gets to take; with collectors of its own
      const int64_t count = stop - begin;
      const bool by_query = count >= 8 * static_cast<int64_t>(threads);
      const int64_t splits = by_query ? 1 : row_splits;
      const int64_t tasks = threads * ((count + kernel.together * threads - 1) / (kernel.together * threads));  // as many for each thread
      const int64_t per_task = by_query ? ((count + tasks - 1) / tasks + 3) / 4 * 4 : count;
      const int64_t groups = (count + per_task - 1) / per_task;
      Collectors collectors(splits * count, k, scan.n, screened);
      std::atomic<int64_t> next{0};  // tile, where rows are shared out: everyone takes them in ascending order
      parallel(splits * groups, threads, control, [&](int64_t task) {
        const int64_t split = task / groups, group = task % groups;
        const int64_t q0 = begin + group * per_task, q1 = std::min(stop, q0 + per_task);
        int64_t bytes = q1 - q0 > 1 ? std::min(kTileBytes, kTileWork / (q1 - q0)) : kTileWork;
        if (splits > 1) bytes = std::min(bytes, std::max(kLeastTile, blocks * block_bytes / (kTilesEach * splits)));
        const int64_t tile = std::max<int64_t>(1, bytes / block_bytes);
        Collector* mine = collectors.all.data() + split * count + (q0 - begin);
        for (int64_t q = q0; foretold && q < q1; ++q) mine[q - q0].start(k, foretold[q - begin]);
        int64_t turn = 0;
        while (!control.stop()) {
          const int64_t b = tile * (splits > 1 ? next.fetch_add(1, std::memory_order_relaxed) : turn++);
          if (b >= blocks) break;
          kernel.run(part, q0, q1, b, std::min(blocks, b + tile), mine);
        }
        if (screened)
          for (int64_t q = q0; q < q1 && !control.stop(); ++q) kernel.settle(part, q, mine[q - q0]);
      });
      if (control.stop()) return;
      parallel_rows(count, 1, threads, control, [&](int64_t q, int64_t) {
        std::vector<Collector*> found;
        for (int64_t split = 0; split < splits; ++split) found.push_back(&collectors.all[static_cast<size_t>(split * count + q)]);
        merge(found.data(), splits, scan.k, scores + (begin + q) * scan.k, ids + (begin + q) * scan.k);
      });
    };

    std::vector<Foretold> foretold;
    if (sample.rank && misled * 8 <= first) {
      foretold.resize(static_cast<size_t>(end - first));
      const int64_t each = ((end - first + threads - 1) / threads + 3) / 4 * 4;
      parallel_rows(end - first, std::min(kernel.together, each), threads, control, [&](int64_t q0, int64_t q1) {
        Collectors collectors(q1 - q0, sample.rank, scan.n, screened);
        for (const int64_t b : sample.blocks) {
          if (control.stop()) return;
          kernel.run(part, first + q0, first + q1, b, b + 1, collectors.all.data());
        }
        for (int64_t q = q0; q < q1; ++q) foretold[static_cast<size_t>(q)] = collectors.all[static_cast<size_t>(q - q0)].foretell();
      });
    }
    scan_all(first, end, foretold.empty() ? nullptr : foretold.data());
    if (foretold.empty() || control.stop()) continue;
    const auto was_misled = [&](int64_t q) {  // fewer than k rows above the floor
      const float floor = foretold[static_cast<size_t>(q - first)].floor;
      return floor > -std::numeric_limits<float>::infinity() && !(scores[q * scan.k + k - 1] > floor);
    };
    for (int64_t q = first, run; q < end; q = run) {
      for (run = q; run < end && was_misled(run);) ++run;
      misled += run - q;
      if (run > q) scan_all(q, run, nullptr);
      while (run < end && !was_misled(run)) ++run;
    }
  }
}

// Joins the results of some queries over further rows to those over others: float[nq][k], int64[nq][k] each, best first, nan where there are none.
void join(int64_t nq, int64_t k, const float* more_scores, const int64_t* more_ids, float* scores, int64_t* ids) {
  std::vector<Entry> all;
  for (int64_t q = 0; q < nq; ++q, scores += k, ids += k, more_scores += k, more_ids += k) {
    all.clear();
    for (int64_t i = 0; i < k && scores[i] == scores[i]; ++i) all.push_back({scores[i], ids[i]});
    for (int64_t i = 0; i < k && more_scores[i] == more_scores[i]; ++i) all.push_back({more_scores[i], more_ids[i]});
    Collector collector;
    collector.top.entries = all.data();
    collector.top.size = static_cast<int64_t>(all.size());
    Collector* const found = &collector;
    merge(&found, 1, k, scores, ids);
  }
}

}  // namespace

void run_scan(Scan scan, const ScanKernel& kernel, int threads, Control& control, float* scores, int64_t* ids) {
  if (scan.allow && scan.nq >= Allowed::kLeastQueries) {
    Allowed allowed(scan);
    if (allowed.worth_moving()) {
      bool first = true;
      std::vector<float> more_scores;
      std::vector<int64_t> more_ids;
      allowed.move(threads, control, [&](const Scan& part) {
        if (first) return first = false, scan_rows(part, kernel, threads, control, scores, ids);
        more_scores.resize(static_cast<size_t>(scan.nq * scan.k));
        more_ids.resize(more_scores.size());
        scan_rows(part, kernel, threads, control, more_scores.data(), more_ids.data());
        if (!control.stop()) join(scan.nq, scan.k, more_scores.data(), more_ids.data(), scores, ids);
      });
      return;
    }
  }
  scan_rows(scan, kernel, threads, control, scores, ids);
}

}  // namespace vecpress
