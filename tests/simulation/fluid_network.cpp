#include "fluid_network.h"

#include <algorithm>
#include <cmath>

namespace libsync::simulation {

FluidNetwork::FluidNetwork(const std::vector<LinkRates>& rates) {
  links_.reserve(2 * rates.size());
  for (const auto& [out, in] : rates) {
    links_.push_back({.rate = out, .share = out, .flows = {}});
    links_.push_back({.rate = in, .share = in, .flows = {}});
  }
}

void FluidNetwork::set_rates(std::size_t host, LinkRates rates, double now) {
  links_[2 * host].rate = rates.out;
  links_[2 * host + 1].rate = rates.in;
  settle(2 * host, 2 * host + 1, now);
}

FlowId FluidNetwork::open(std::size_t from, std::size_t to, double now) {
  FlowId id = 0;
  if (unused_.empty()) {
    id = static_cast<FlowId>(flows_.size());
    flows_.emplace_back();
  } else {
    id = unused_.back();
    unused_.pop_back();
  }
  // `is_faster` stays: the id may still wait in faster_.
  Flow& flow = flows_[id];
  flow.out = 2 * from;
  flow.in = 2 * to + 1;
  flow.rate = 0;
  flow.moved = 0;
  flow.since = now;
  flow.is_open = true;
  links_[flow.out].flows.push_back(id);
  links_[flow.in].flows.push_back(id);
  settle(flow.out, flow.in, now);
  return id;
}

void FluidNetwork::close(FlowId id, double now) {
  Flow& flow = flows_[id];
  bring_up_to(flow, now);
  flow.is_open = false;
  flow.rate = 0;
  std::erase(links_[flow.out].flows, id);
  std::erase(links_[flow.in].flows, id);
  unused_.push_back(id);
  settle(flow.out, flow.in, now);
}

double FluidNetwork::moved(FlowId id, double now) {
  bring_up_to(flows_[id], now);
  return flows_[id].moved;
}

std::vector<FlowId> FluidNetwork::pop_faster() {
  std::vector<FlowId> all;
  all.swap(faster_);
  for (const auto id : all) flows_[id].is_faster = false;
  std::erase_if(all, [this](FlowId id) { return !flows_[id].is_open; });
  return all;
}

double FluidNetwork::worst_overload() const {
  double worst = 0;
  for (const auto& link : links_) {
    double sum = 0;
    for (const auto id : link.flows) sum += flows_[id].rate;
    if (sum > 0) worst = std::max(worst, sum / link.rate);
  }
  return worst;
}

void FluidNetwork::bring_up_to(Flow& flow, double now) {
  flow.moved += flow.rate * (now - flow.since);
  flow.since = now;
}

double FluidNetwork::share_of(const Link& link, std::size_t index) {
  if (link.flows.empty()) return link.rate;
  limits_.clear();
  for (const auto id : link.flows) {
    const Flow& flow = flows_[id];
    limits_.push_back(links_[flow.out == index ? flow.in : flow.out].share);
  }
  std::sort(limits_.begin(), limits_.end());
  double left = link.rate;
  std::size_t count = limits_.size();
  for (const double limit : limits_) {
    const double fair = left / static_cast<double>(count);
    if (limit >= fair) return fair;
    left -= limit;
    --count;
  }
  return left + limits_.back();  // This link limits no flow.
}

void FluidNetwork::settle(std::size_t first, std::size_t second, double now) {
  queue_.assign({first, second});
  links_[first].is_queued = links_[second].is_queued = true;
  int settled = 0;
  for (std::size_t next = 0; next < queue_.size(); ++next) {
    const std::size_t index = queue_[next];
    Link& link = links_[index];
    link.is_queued = false;
    if (++settled > kSettledAtMost) continue;
    const double share = share_of(link, index);
    const bool is_changed = std::abs(share - link.share) > kTolerance * link.share;
    link.share = share;
    for (const auto id : link.flows) {
      Flow& flow = flows_[id];
      const double rate = std::min(links_[flow.out].share, links_[flow.in].share);
      if (rate != flow.rate) {
        bring_up_to(flow, now);
        if (rate > flow.rate && !flow.is_faster) {
          flow.is_faster = true;
          faster_.push_back(id);
        }
        flow.rate = rate;
      }
      const std::size_t other = flow.out == index ? flow.in : flow.out;
      if (is_changed && !links_[other].is_queued) {
        links_[other].is_queued = true;
        queue_.push_back(other);
      }
    }
  }
}

}  // namespace libsync::simulation
