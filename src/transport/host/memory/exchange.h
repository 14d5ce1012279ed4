// Collectives between ranks that share a memory: one call at a time, in windows that take turns.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "combine.h"
#include "wait.h"

enum Kind { kAllReduce, kReduceScatter, kAllGather, kBroadcast, kBarrier };

// What a collective is to do. Parts are ranks' shares of the values, in elements: rank r has [parts[r], parts[r + 1]).
struct Order {
  Kind kind;
  Combine combine;
  size_t element;
  char* values;
  int root;
  uint64_t parts[kMostRanks + 1];
};

// One rank's side of the collectives. The memory has two windows for each rank, which take turns. In each turn a rank
//
//     1. writes what others need of its values into its window,
//     2. says so, and waits until all ranks have,
//     3. reads what it needs from the windows of the others, straight into its values.
//
//     all-reduce       few bytes: all values, which every rank combines; else the parts of a window: each rank
//                      combines its own, leaves the result in its window, and takes the others' in a second turn.
//     reduce-scatter   the parts of the others; each rank combines its own
//     all-gather       the own part
//     broadcast        the root's values
//     barrier          nothing
//
// Why a window may be written again two windows later: a rank begins window k + 1 after it has read all of window k, and
// this rank has seen that all have begun k + 1 when it begins k + 2. A barrier takes no window: one that another core has
// just read costs twice as long to write.
//
// All combine in pairs of ranks, or copy what one has combined: results are the same to the last bit.
class Exchange {
 public:
  enum : int { kDone = -1, kMismatch = -2 };

  void Map(char* memory, size_t window, int rank, int ranks) {
    turns_.Begin(reinterpret_cast<Control*>(memory), rank, ranks);
    windows_ = memory + kControlBytes;
    window_ = window;
    rank_ = rank;
    ranks_ = ranks;
  }

  // Begins a call. `header` says what it is: ranks compare theirs.
  void Begin(const Order& order, const char* header) {
    order_ = order;
    calls_++;
    std::memcpy(turns_.Own().headers[calls_ & 1], header, kHeaderBytes);
    over_ = false;
    compared_ = false;
    at_ = 0;
    shares_ = order.kind == kAllReduce && Bytes(0, ranks_) > kWhole / ranks_ && ranks_ > 1;
    second_ = false;
    Size();
    Write();
    turns_.Next();
  }

  // Goes on as far as it can: kDone, the rank that is waited for, or, where a rank makes another call, kMismatch less its
  // number. It waits a moment at each turn, and sleeps at most so long; a negative number: it does not wait at all.
  int Advance(int milliseconds) {
    while (!over_) {
      if (milliseconds < 0 ? !turns_.Reached() : !turns_.ReachedSoon(at_ == 0)) {
        if (milliseconds > 0) turns_.Sleep(milliseconds);
        if (!turns_.Reached()) return turns_.Slowest();
      }
      if (!compared_) {
        compared_ = true;
        for (int rank = 0; rank < ranks_; rank++)
          if (!Agrees(rank)) return kMismatch - rank;
      }
      Read();
      if (shares_ && !second_) {
        second_ = true;
      } else {
        second_ = false;
        at_ += piece_;
        if (order_.kind != kBarrier) slot_ ^= 1;
        over_ = at_ >= end_;
        if (over_) break;
        Write();
      }
      turns_.Next();
    }
    return kDone;
  }

  const char* HeaderOf(int rank) { return turns_.Of(rank).headers[calls_ & 1]; }

 private:
  // Payload from which on ranks share the work of an all-reduce, over the number of ranks.
  static constexpr size_t kWhole = 131072;

  size_t Bytes(int first, int last) const {
    return (order_.parts[last] - order_.parts[first]) * order_.element;
  }

  // Sets how much of the values, or of each part, goes in a turn, and how much there is.
  void Size() {
    const size_t whole = Bytes(0, ranks_);
    const size_t line = 64;
    switch (order_.kind) {
      case kAllReduce:
        piece_ = shares_ ? window_ / ranks_ / line * line * ranks_ : window_;
        end_ = whole;
        break;
      case kReduceScatter:
        piece_ = window_ / ranks_ / line * line;
        end_ = LongestPart();
        break;
      case kAllGather:
        piece_ = window_;
        end_ = LongestPart();
        break;
      case kBroadcast:
        piece_ = window_;
        end_ = whole;
        break;
      case kBarrier:
        piece_ = 1;
        end_ = 0;
    }
  }

  size_t LongestPart() const {
    size_t longest = 0;
    for (int rank = 0; rank < ranks_; rank++) longest = std::max(longest, Bytes(rank, rank + 1));
    return longest;
  }

  // Bytes of the values.
  struct Range {
    size_t begin;
    size_t end;
    size_t bytes() const { return end - begin; }
  };

  // This turn's piece of the values: an even share of it for each rank, or of each rank's part.
  Range Piece() const { return {at_, std::min(at_ + piece_, end_)}; }

  Range PieceOf(int rank) const {
    if (order_.kind == kAllReduce) {
      const Range piece = Piece();
      const size_t elements = piece.bytes() / order_.element;
      return {piece.begin + elements * rank / ranks_ * order_.element,
              piece.begin + elements * (rank + 1) / ranks_ * order_.element};
    }
    const size_t first = Bytes(0, rank), last = Bytes(0, rank + 1);
    return {std::min(first + at_, last), std::min(first + at_ + piece_, last)};
  }

  char* Values(size_t at) const { return order_.values + at; }

  char* Window(int rank) const { return windows_ + (2 * rank + slot_) * window_; }

  // Where the piece of `part` lies in a rank's window.
  char* Place(int rank, int part) const {
    if (order_.kind == kAllReduce) return Window(rank) + (PieceOf(part).begin - at_);
    return Window(rank) + part * piece_;
  }

  void Write() {
    switch (order_.kind) {
      case kAllReduce:
      case kReduceScatter:
        if (order_.kind == kAllReduce && !shares_) {
          std::memcpy(Window(rank_), Values(at_), Piece().bytes());
          break;
        }
        for (int part = 0; part < ranks_; part++)
          if (part != rank_) std::memcpy(Place(rank_, part), Values(PieceOf(part).begin), PieceOf(part).bytes());
        break;
      case kAllGather:
        std::memcpy(Window(rank_), Values(PieceOf(rank_).begin), PieceOf(rank_).bytes());
        break;
      case kBroadcast:
        if (rank_ == order_.root) std::memcpy(Window(rank_), Values(at_), Piece().bytes());
        break;
      case kBarrier:
        break;
    }
  }

  void Read() {
    switch (order_.kind) {
      case kAllReduce:
        if (!shares_) return CombineAll();
        if (second_) return TakeResults();
        CombinePart();
        std::memcpy(Place(rank_, rank_), Values(PieceOf(rank_).begin), PieceOf(rank_).bytes());
        break;
      case kReduceScatter:
        return CombinePart();
      case kAllGather:
        for (int rank = 0; rank < ranks_; rank++)
          if (rank != rank_) std::memcpy(Values(PieceOf(rank).begin), Window(rank), PieceOf(rank).bytes());
        break;
      case kBroadcast:
        if (rank_ != order_.root) std::memcpy(Values(at_), Window(order_.root), Piece().bytes());
        break;
      case kBarrier:
        break;
    }
  }

  void CombineAll() {
    const char* terms[kMostRanks];
    for (int rank = 0; rank < ranks_; rank++) terms[rank] = rank == rank_ ? Values(at_) : Window(rank);
    Pairs(order_.combine)(Values(at_), terms, ranks_, Piece().bytes());
  }

  void CombinePart() {
    const Range own = PieceOf(rank_);
    const char* terms[kMostRanks];
    for (int rank = 0; rank < ranks_; rank++) terms[rank] = rank == rank_ ? Values(own.begin) : Place(rank, rank_);
    Pairs(order_.combine)(Values(own.begin), terms, ranks_, own.bytes());
  }

  void TakeResults() {
    for (int part = 0; part < ranks_; part++)
      if (part != rank_) std::memcpy(Values(PieceOf(part).begin), Place(part, part), PieceOf(part).bytes());
  }

  // Whether a rank makes the call that this one makes. Only the rank and its part's length are its own.
  bool Agrees(int rank) {
    constexpr int kSource = 24, kBytes = 36, kNumber = 4;
    char expected[kHeaderBytes];
    std::memcpy(expected, HeaderOf(rank_), kHeaderBytes);
    const uint32_t source = rank, bytes = Bytes(rank, rank + 1);
    std::memcpy(expected + kSource, &source, kNumber);
    std::memcpy(expected + kBytes, &bytes, kNumber);
    return std::memcmp(expected, HeaderOf(rank), kHeaderBytes) == 0;
  }

  Turns turns_;
  char* windows_ = nullptr;
  size_t window_ = 0;
  int rank_ = 0;
  int ranks_ = 0;
  Order order_ = {};
  uint32_t calls_ = 0;
  bool over_ = true;
  bool compared_ = false;
  // Where the present window begins in the values (or in each part), how long it is, and where they end.
  size_t at_ = 0;
  size_t piece_ = 0;
  size_t end_ = 0;
  // Which of the two windows.
  size_t slot_ = 0;
  // Whether ranks share the work of an all-reduce, and are in the second turn of a window.
  bool shares_ = false;
  bool second_ = false;
};
