// Fleets that have IPv6 addresses alone. Each test runs in network and mount namespaces of its own,
// where `redis.test` is a name with an A and an AAAA record.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>

#include "fleet.h"
#include "os/descriptor.h"

namespace libsync::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr auto kRange = "2001:db8::/64";

// Makes the namespaces. An ordinary user is root in a user namespace while it sets them up. Only
// root returns from them in the destructor, so no other test may run behind in that process.
class NamespaceWithoutIpv4 {
 public:
  explicit NamespaceWithoutIpv4(const std::filesystem::path& hosts) {
    const auto user = getuid();
    const auto group = getgid();
    if (user != 0) enter_user_namespace(0, user, 0, group);
    EXPECT_EQ(unshare(CLONE_NEWNET | CLONE_NEWNS), 0) << "no namespaces here: run it as root";
    const auto made = run({"bash", "-ec",
                           "mount --make-rprivate /\n"
                           "mount --bind \"$0\" /etc/hosts\n"
                           "ip link set lo up\n"
                           "ip -4 addr flush dev lo\n"
                           "ip link add fleet type veth peer name wire\n"
                           "ip link set wire up\n"
                           "ip link set fleet up\n"
                           "for n in 1 2 3 4; do ip -6 addr add 2001:db8::$n/64 dev fleet nodad; "
                           "done\n",
                           hosts.string()});
    EXPECT_EQ(made.status, 0) << made.errors;
    if (user != 0) enter_user_namespace(user, 0, group, 0);
  }
  ~NamespaceWithoutIpv4() {
    if (getuid() != 0) return;
    EXPECT_EQ(setns(network_.number(), CLONE_NEWNET), 0);
    EXPECT_EQ(setns(mounts_.number(), CLONE_NEWNS), 0);
    EXPECT_EQ(chdir(folder_.c_str()), 0);
  }
  NamespaceWithoutIpv4(const NamespaceWithoutIpv4&) = delete;
  NamespaceWithoutIpv4& operator=(const NamespaceWithoutIpv4&) = delete;

 private:
  static void enter_user_namespace(unsigned user, unsigned outer_user, unsigned group,
                                   unsigned outer_group) {
    const auto line = [](unsigned inner, unsigned outer) {
      return std::to_string(inner) + " " + std::to_string(outer) + " 1";
    };
    EXPECT_EQ(unshare(CLONE_NEWUSER), 0) << "no user namespaces here: run it as root";
    write_file("/proc/self/setgroups", "deny");
    write_file("/proc/self/uid_map", line(user, outer_user));
    write_file("/proc/self/gid_map", line(group, outer_group));
  }

  std::filesystem::path folder_ = std::filesystem::current_path();
  Descriptor network_{open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)};
  Descriptor mounts_{open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)};
};

class WithoutIpv4 : public testing::Test {
 protected:
  WithoutIpv4() {
    setenv("ALLOW", kRange, 1);  // make_host reads it.
    std::filesystem::create_directory(source_root());
    redis_.emplace(Words{"redis-server", "--bind", "::1", "2001:db8::1", "--port", "6390", "--dir",
                         folder_.path().string(), "--save", "", "--protected-mode", "no"},
                   folder_.path() / "redis.log");
    EXPECT_TRUE(eventually([&] { return cli({"ping"}) == "PONG\n"; }));
  }
  ~WithoutIpv4() override { unsetenv("ALLOW"); }

  [[nodiscard]] std::filesystem::path source_root() const { return folder_.path() / "sources"; }

  // `number` is the end of its address.
  Host& add_host(const std::string& number) {
    auto& host = hosts_.emplace_back(folder_.path() / ("h" + number), "2001:db8::" + number,
                                     "redis://redis.test:6390/", source_root());
    host.start_daemon();
    return host;
  }

  static std::string cli(const Words& words) {
    Words all{"redis-cli", "-h", "::1", "-p", "6390"};
    all.insert(all.end(), words.begin(), words.end());
    return run(all).output;
  }

  // Sets a task, and runs a tick of the master on a host of its own.
  Ran begin(const std::filesystem::path& payload, Words options) {
    write_file(payload, random_bytes(3'000'000, 1));
    EXPECT_EQ(cli({"set", "task", payload.string()}), "OK\n");
    options.insert(options.end(), {"--peers", kRange});
    return add_host("2").run("sync-master", options);
  }

  void expect_end_by_unusable_sources(const std::string& spread);

  [[nodiscard]] std::list<Host>& hosts() { return hosts_; }

 private:
  static std::filesystem::path written_hosts(const TemporaryFolder& folder) {
    write_file(folder.path() / "hosts", "192.0.2.1 redis.test\n2001:db8::1 redis.test\n");
    return folder.path() / "hosts";
  }

  TemporaryFolder folder_;
  NamespaceWithoutIpv4 namespace_{written_hosts(folder_)};
  std::optional<Background> redis_;
  std::list<Host> hosts_;
};

TEST_F(WithoutIpv4, AFleetWithGlobalAddressesGetsItsPayload) {
  EXPECT_THAT(run({"ip", "-4", "addr"}).output, IsEmpty());
  const auto payload = source_root() / "model.7";
  const auto begun = begin(payload, {"--minions", "2", "--piece-size", "256K"});
  ASSERT_EQ(begun.status, 0) << begun.output;
  for (const auto* const number : {"3", "4"}) {
    const auto& host = add_host(number);
    const auto ran = host.run("sync-minion", {"--peers", kRange});
    EXPECT_EQ(ran.status, 0) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr("start rsync from 2001:db8::"));
    EXPECT_EQ(content_of(host.repo() / "model.7"), content_of(payload));
  }
  const auto ended = hosts().front().run("sync-master", {"--minions", "2", "--peers", kRange});
  EXPECT_EQ(ended.status, 0) << ended.output;
  EXPECT_THAT(ended.output, HasSubstr("mission complete"));
}

TEST_F(WithoutIpv4, AHostOutsideItsOwnPeersIsRefusedAtTheStart) {
  const auto& host = add_host("2");
  for (const auto* const program : {"sync-minion", "sync-master"}) {
    const auto ran = host.run(program, {"--linger", "120s"});
    EXPECT_EQ(ran.status, 2) << ran.output;
    EXPECT_THAT(ran.errors, HasSubstr("--peers leaves out this host's own address 2001:db8::2"));
    EXPECT_THAT(ran.errors, HasSubstr("name the ranges of all hosts"));
  }
  EXPECT_EQ(host.run("sync-minion", {"status"}).status, 0) << "status shows what there is";
  const auto pushing = host.run("sync-master", {"--peers", kRange, "--push-to", "10.0.0.9"});
  EXPECT_EQ(pushing.status, 2);
  EXPECT_THAT(pushing.errors, HasSubstr("--push-to '10.0.0.9' lies outside --peers"));
}

void WithoutIpv4::expect_end_by_unusable_sources(const std::string& spread) {
  const auto begun = begin(source_root() / "model.7", {"--minions", "2", "--spread", spread});
  ASSERT_EQ(begun.status, 0) << begun.output;
  // Its own address is the only one that it accepts.
  const auto ran = add_host("3").run("sync-minion", {"--peers", "2001:db8::3", "--linger", "120s"});
  EXPECT_EQ(ran.status, 5) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("no usable source, after 3 failures in a row"));
  EXPECT_THAT(ran.output, HasSubstr("'2001:db8::2' is no address within --peers: correct --peers"));
  EXPECT_THAT(ran.output, Not(HasSubstr("start rsync from")));
  EXPECT_THAT(hosts().front().run("sync-master", {"status"}).output, HasSubstr("no usable source"));
}

TEST_F(WithoutIpv4, ThreeUnusableSourcesEndTheTick) { expect_end_by_unusable_sources("claims"); }

TEST_F(WithoutIpv4, ThreeUnusableSourcesEndTheTickOfAHostInTrees) {
  expect_end_by_unusable_sources("trees");
}

}  // namespace
}  // namespace libsync::test
