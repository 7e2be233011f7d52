#pragma once

// Links whose bytes flow like water. Every host has one link out and one in, and flows share both
// fairly (max-min), roughly as long-lived TCP connections do. No flow can gain without a loss of
// one that has no more than itself.
//
// Each link divides its rate among its flows, and offers each a share. A flow whose other link
// offers less leaves the difference to the others. A flow runs at the lesser of its two shares.
//
// When a flow opens or closes, its two links compute their shares anew, then the links at the other
// ends, and so on. It ends when no share changes by more than kTolerance. This is the asynchronous
// form of Hahne's and Charny's max-min computation; it converges from any state.
//
// The network has no clock: it integrates over the times of the calls, which must not decrease.
// It knows no latency, no slow start and no loss. The caller models the start of an rsync.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace libsync::simulation {

using FlowId = std::uint32_t;

/// Bytes a second of one host.
struct LinkRates {
  double out = 0;
  double in = 0;
};

class FluidNetwork {
 public:
  /// `rates`: of each host.
  explicit FluidNetwork(const std::vector<LinkRates>& rates);

  /// From now on the links of the host have these rates. Without a rate its flows stay open.
  void set_rates(std::size_t host, LinkRates rates, double now);

  FlowId open(std::size_t from, std::size_t to, double now);
  void close(FlowId flow, double now);

  /// The bytes that the flow has moved until `now`.
  double moved(FlowId flow, double now);

  [[nodiscard]] double rate(FlowId flow) const { return flows_[flow].rate; }

  /// The flows that have become faster since the last call: their pieces arrive earlier than the
  /// caller predicted. The caller notices a slower flow itself: its piece is not there in time.
  std::vector<FlowId> pop_faster();

  /// The largest quotient of a link's traffic and its rate, over all links, now.
  [[nodiscard]] double worst_overload() const;

 private:
  static constexpr double kTolerance = 0.005;
  /// The changes of a share become ever smaller. This bounds the work of one call.
  static constexpr int kSettledAtMost = 400;

  struct Link {
    double rate = 0;
    double share = 0;
    std::vector<FlowId> flows;
    bool is_queued = false;
  };
  struct Flow {
    std::size_t out = 0;  // Its links.
    std::size_t in = 0;
    double rate = 0;
    double moved = 0;
    double since = 0;
    bool is_open = false;
    bool is_faster = false;
  };

  void bring_up_to(Flow& flow, double now);
  [[nodiscard]] double share_of(const Link& link, std::size_t index);
  void settle(std::size_t first, std::size_t second, double now);

  std::vector<Link> links_;  // 2 * host: out; 2 * host + 1: in.
  std::vector<Flow> flows_;
  std::vector<FlowId> unused_;
  std::vector<FlowId> faster_;
  std::vector<std::size_t> queue_;
  std::vector<double> limits_;
};

}  // namespace libsync::simulation
