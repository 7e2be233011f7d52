// The configuration of a daemon, and which daemon uses it.

#include "feed/daemon_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "temporary_folder.h"

namespace libsync::test {
namespace {

TEST(DaemonSettings, OfTheShippedFile) {
  const auto settings =
      read_daemon_settings(content_of(SOURCE_FOLDER "/rsyncd/rsyncd.conf"), {}, "repo");
  EXPECT_EQ(settings.address, "192.168.254.17");
  EXPECT_EQ(settings.port, 873);
  EXPECT_EQ(settings.socket_options, "TCP_NODELAY");
  EXPECT_EQ(settings.max_connections, 20U);
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

TEST(DaemonSettings, HoldTheConnectionsOfOneModule) {
  const auto most = [](const std::string& text) {
    return read_daemon_settings(text, {}, "repo").max_connections;
  };
  EXPECT_EQ(most("Max Connections = 20\n[repo]\npath = /x\n"), 20U);
  EXPECT_EQ(most("max connections = 20\n[other]\nmax connections = 3\n[repo]\npath = /x\n"), 20U);
  EXPECT_EQ(
      most("max connections = 20\n[ repo ]\nmaxconnections = 4\n[other]\nmax connections = 3"), 4U);
  EXPECT_EQ(most("[repo]\nmax connections = 4\n[global]\nmax connections = 20\n"), 4U);
  EXPECT_EQ(most("max connections = 20\n[repo]\nmax connections = 0\n"), std::nullopt);
  EXPECT_EQ(most("# max connections = 5\n[repo]\n"), std::nullopt);
  EXPECT_EQ(most("max connections = many\n[repo]\n"), std::nullopt);
}

// As rsync 3.2.7 does, by the port that it binds.
TEST(DaemonSettings, AreReadFromIncludedAndMergedFiles) {
  const TemporaryFolder folder;
  const auto file = (folder.path() / "inc.conf").string();
  write_file(file, "port = 18731\nsocket options = TCP_NODELAY\n[other]\naddress = 10.0.0.9\n");
  const auto read = [](const std::string& text) {
    return read_daemon_settings(text, included_texts);
  };
  const std::string begin = "address = 127.0.0.9\nport = 18733\n";
  for (const auto& text : {begin + "&include " + file + "\n[m]\n", begin + "&merge " + file + "\n",
                           begin + "  &include=   " + file + "  \n"}) {
    EXPECT_EQ(read(text).port, 18731) << text;
    EXPECT_EQ(read(text).socket_options, "TCP_NODELAY") << text;
    EXPECT_EQ(read(text).address, "127.0.0.9") << text;
  }
  EXPECT_EQ(read(begin + "[m]\n&merge " + file).port, 18733) << "a module's line";
  EXPECT_EQ(read("&merge " + file + "\nport = 1\n").port, 18731) << "inside of [other]";
  EXPECT_EQ(read("&include " + file + "\nport = 1\n").port, 18731) << "still inside of it";
  EXPECT_EQ(read(begin + "[m]\n&include " + file).port, 18733) << "a module's line";
  EXPECT_EQ(read(begin + "&include /nonexistent\n&includes " + file).port, 18733);
  write_file(folder.path() / "d" / "b.inc", "port = 18735\n");
  write_file(folder.path() / "d" / "a.inc", "port = 18736\n");
  write_file(folder.path() / "d" / "c.conf", "port = 18737\n");
  EXPECT_EQ(read("&merge " + (folder.path() / "d").string()).port, 18735);
  EXPECT_EQ(read("&include " + (folder.path() / "d").string()).port, 18737);
  write_file(file, "port = 2\n&include " + file + "\n");
  EXPECT_EQ(read("&include " + file).port, 2) << "it includes itself";
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
