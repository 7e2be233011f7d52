// The configuration of a daemon, and which daemon uses it.

#include "feed/daemon_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "temporary_folder.h"

namespace libsync::test {
namespace {

TEST(DaemonSettings, OfTheShippedFile) {
  const auto settings = read_daemon_settings(content_of(SOURCE_FOLDER "/rsyncd/rsyncd.conf"));
  EXPECT_EQ(settings.address, "192.168.254.17");
  EXPECT_EQ(settings.port, 873);
  EXPECT_EQ(settings.socket_options, "TCP_NODELAY");
}

TEST(DaemonSettings, AreReadAsRsyncReadsThem) {
  auto settings = read_daemon_settings("SocketOptions=SO_KEEPALIVE,TCP_NODELAY\r\n Port = 8730 \n");
  EXPECT_EQ(settings.socket_options, "SO_KEEPALIVE,TCP_NODELAY");
  EXPECT_EQ(settings.port, 8730);
  EXPECT_EQ(settings.address, "");
  settings = read_daemon_settings("# socket options = TCP_NODELAY\n[repo]\naddress = 10.0.0.1\n");
  EXPECT_EQ(settings.socket_options, "");
  EXPECT_EQ(settings.address, "") << "a module's line is none of the daemon";
  EXPECT_EQ(read_daemon_settings("[a]\n[global]\nport = 1").port, 1);
  EXPECT_EQ(read_daemon_settings("port = <script>").port, 0);
  EXPECT_EQ(read_daemon_settings("").port, 873);
}

TEST(DaemonCommand, IsFoundInItsWords) {
  auto command = read_daemon_command({"/usr/bin/rsync", "--daemon", "--no-detach"});
  ASSERT_TRUE(command);
  EXPECT_EQ(command->config, "/etc/rsyncd.conf");
  EXPECT_EQ(command->port, std::nullopt);
  command = read_daemon_command(
      {"rsync", "--daemon", "--config", "/x.conf", "--port=8730", "--address=10.0.0.2"});
  ASSERT_TRUE(command);
  EXPECT_EQ(command->config, "/x.conf");
  EXPECT_EQ(command->port, 8730);
  EXPECT_EQ(command->address, "10.0.0.2");
  EXPECT_FALSE(read_daemon_command({"rsync", "--server", "--sender"}));
  EXPECT_FALSE(read_daemon_command({"sshd", "--daemon"}));
  EXPECT_FALSE(read_daemon_command({}));
}

}  // namespace
}  // namespace libsync::test
