// Turns that all ranks take together: each says that it has come to a turn, and waits until all have.

#pragma once

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>

static_assert(std::atomic<uint32_t>::is_always_lock_free, "ranks share these numbers");

constexpr int kMostRanks = 16;
constexpr int kHeaderBytes = 64;
constexpr int kMostCores = 1024;

// What a rank says to the others.
struct alignas(128) Side {
  // Turn that it has come to.
  std::atomic<uint32_t> turn;
  // Cores that it may run on, a bit each; none: not said yet.
  alignas(64) std::atomic<uint64_t> cores[kMostCores / 64];
  // Headers of its last two calls, by turns.
  alignas(64) char headers[2][kHeaderBytes];
};

// Beginning of the memory. All zeros is how it begins.
struct Control {
  // How many turns of how many ranks have been come to.
  alignas(128) std::atomic<uint32_t> arrivals;
  // Turn that all ranks have come to, as the last one says: who sleeps, sleeps on it.
  alignas(128) std::atomic<uint32_t> complete;
  std::atomic<uint32_t> sleepers;
  Side sides[kMostRanks];
};

constexpr size_t kControlBytes = 16384;
static_assert(sizeof(Control) <= kControlBytes, "the windows follow");

static inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

static inline int64_t NowMicros() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000;
}

// The turns of one rank.
class Turns {
 public:
  void Begin(Control* control, int rank, int ranks) {
    control_ = control;
    rank_ = rank;
    ranks_ = ranks;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
    for (int word = 0; word < kMostCores / 64; word++) {
      uint64_t bits = 0;
      for (int bit = 0; bit < 64; bit++)
        if (CPU_ISSET(word * 64 + bit, &set)) bits |= uint64_t{1} << bit;
      Own().cores[word].store(bits);
    }
  }

  Side& Own() { return control_->sides[rank_]; }
  Side& Of(int rank) { return control_->sides[rank]; }

  // Says that this rank has come to the next turn; the last one to do so wakes those who sleep.
  void Next() {
    const uint32_t turn = ++turn_;
    Own().turn.store(turn, std::memory_order_seq_cst);
    const uint32_t all = turn * static_cast<uint32_t>(ranks_);
    if (control_->arrivals.fetch_add(1, std::memory_order_seq_cst) + 1 != all) return;
    control_->complete.store(turn, std::memory_order_seq_cst);
    if (control_->sleepers.load(std::memory_order_seq_cst) > 0)
      syscall(SYS_futex, &control_->complete, FUTEX_WAKE, ranks_, nullptr, nullptr, 0);
  }

  // Whether all ranks have come to this rank's turn.
  bool Reached() {
    for (int rank = 0; rank < ranks_; rank++)
      if (Behind(rank) > 0) return false;
    return true;
  }

  // The rank that is the furthest behind.
  int Slowest() {
    int slowest = rank_;
    for (int rank = 0; rank < ranks_; rank++)
      if (Behind(rank) > Behind(slowest)) slowest = rank;
    return slowest;
  }

  // Waits a few microseconds on the core, where each rank can have one of its own; else leaves it to others a few times,
  // where `yields` says so: that is quicker than to sleep, but only for a thread that has not run for long.
  bool ReachedSoon(bool yields) {
    if (Reached()) return true;
    if (!Spins()) {
      for (int times = 0; yields && times < kYields; times++) {
        sched_yield();
        if (Reached()) return true;
      }
      return false;
    }
    const int64_t until = NowMicros() + kSpinMicros;
    do {
      for (int times = 0; times < 32; times++) {
        if (Reached()) return true;
        Pause();
      }
    } while (NowMicros() < until);
    return false;
  }

  // Sleeps until all ranks have come to this rank's turn, at most so long; it may also end before.
  void Sleep(int milliseconds) {
    const timespec limit = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
    control_->sleepers.fetch_add(1, std::memory_order_seq_cst);
    const uint32_t seen = control_->complete.load(std::memory_order_seq_cst);
    if (static_cast<int32_t>(turn_ - seen) > 0)
      syscall(SYS_futex, &control_->complete, FUTEX_WAIT, seen, &limit, nullptr, 0);
    control_->sleepers.fetch_sub(1, std::memory_order_seq_cst);
  }

 private:
  static constexpr int64_t kSpinMicros = 100;
  static constexpr int kYields = 5;

  int32_t Behind(int rank) {
    return static_cast<int32_t>(turn_ - control_->sides[rank].turn.load(std::memory_order_acquire));
  }

  // Whether there are as many cores as ranks, among those that ranks may run on. Each says so before its first turn.
  bool Spins() {
    if (cores_ == 0) {
      for (int word = 0; word < kMostCores / 64; word++) {
        uint64_t any = 0;
        for (int rank = 0; rank < ranks_; rank++) {
          if (Of(rank).turn.load() == 0) return false;
          any |= Of(rank).cores[word].load();
        }
        cores_ += __builtin_popcountll(any);
      }
    }
    return cores_ >= ranks_;
  }

  Control* control_ = nullptr;
  int rank_ = 0;
  int ranks_ = 0;
  uint32_t turn_ = 0;
  int cores_ = 0;
};
