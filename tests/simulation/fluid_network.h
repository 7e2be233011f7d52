#pragma once

// Links whose bytes flow like water: every host has one link out and one in, and flows share both
// fairly (max-min, as long-lived TCP connections roughly do): no flow can get more without taking
// it from one that has no more than itself.
//
// Each link offers its flows a share: its rate, divided so that what a flow cannot use, because its
// other link offers it less, goes to the rest. A flow runs at the lesser of its two shares. When a
// flow comes or goes, the shares of its two links are worked out anew, and then those of the links
// at the other ends, for as long as anything changes by more than kTolerance (the asynchronous form
// of Hahne's and Charny's max-min computation; it converges from any state).
//
// It knows no time of day: it integrates over the times that it is given, which must not go back.
// No latency, no slow start, no loss: what the start of an rsync costs is the caller's business.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace libsync::simulation {

using FlowId = std::uint32_t;

class FluidNetwork {
 public:
  /// Bytes a second, both ways, of each host.
  explicit FluidNetwork(const std::vector<double>& rates);

  FlowId open(std::size_t from, std::size_t to, double now);
  void close(FlowId flow, double now);

  /// Bytes that it has moved until `now`.
  double moved(FlowId flow, double now);

  [[nodiscard]] double rate(FlowId flow) const { return flows_[flow].rate; }

  /// Flows that run faster than when they were last given here: what they carry arrives earlier
  /// than was said. (One that runs slower tells by not having arrived.)
  std::vector<FlowId> take_faster();

  /// The largest factor by which a link carries more than its rate, over all links, now.
  [[nodiscard]] double worst_overload() const;

 private:
  static constexpr double kTolerance = 0.005;
  /// A link changes its share by less and less; this only bounds the work.
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
