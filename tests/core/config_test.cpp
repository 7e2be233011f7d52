#include "libsync/core/config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "os/private_file.h"
#include "temporary_folder.h"

namespace libsync {
namespace {

using namespace std::chrono_literals;

// Each row was tried: rsync --bwlimit=TEXT -n FILE FOLDER/
TEST(IsBandwidthLimit, AcceptsWhatRsyncAccepts) {
  for (const auto* const text :
       {"5", "0", "1.5m", "2KiB", "3kb", "5P", "1.m", ".5m", "600b", "10M"}) {
    EXPECT_TRUE(is_bandwidth_limit(text)) << text;
  }
  for (const auto* const text : {"", "fast", "1x", "1e3", " 5", "5 ", "-1", ".", "m", "5ki", "5bb",
                                 "1.2.3", "5mm", "5ib", "5\n"}) {
    EXPECT_FALSE(is_bandwidth_limit(text)) << text;
  }
}

TEST(Duration, IsAnIntegerWithAUnit) {
  for (const auto& [text, expected] :
       std::vector<std::pair<std::string_view, Duration>>{{"0", 0ms},
                                                          {"0ms", 0ms},
                                                          {"1", 1s},
                                                          {"1s", 1s},
                                                          {"1ms", 1ms},
                                                          {"1m", 1min},
                                                          {"1h", 1h},
                                                          {"115s", 115s},
                                                          {"007", 7s},
                                                          {"1500ms", 1500ms},
                                                          {"8760h", 8760h},
                                                          {"31536000", 8760h},
                                                          {"31536000000ms", 8760h}}) {
    EXPECT_EQ(parse_duration(text), expected) << text;
  }
}

TEST(Duration, IsNothingElse) {
  for (const auto* const text : {"",
                                 "s",
                                 "ms",
                                 "-1",
                                 "+1",
                                 "-1s",
                                 "1.5s",
                                 "1,5s",
                                 "1 s",
                                 " 1",
                                 "1 ",
                                 "1\n",
                                 "1S",
                                 "1M",
                                 "1H",
                                 "1MS",
                                 "1d",
                                 "1w",
                                 "1us",
                                 "1sec",
                                 "1min",
                                 "1s1m",
                                 "1m30s",
                                 "0x10",
                                 "1e3",
                                 "inf",
                                 "8761h",
                                 "31536001",
                                 "31536000001ms",
                                 "525601m",
                                 "18446744073709551615",
                                 "18446744073709551616",
                                 "18446744073709551615h",
                                 "5124095576030432h",
                                 "one"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(Size, IsAnIntegerWithAUnit) {
  for (const auto& [text, expected] : std::vector<std::pair<std::string_view, std::uint64_t>>{
           {"1", 1},
           {"1K", 1024},
           {"1M", 1048576},
           {"1G", 1073741824},
           {"16M", 16777216},
           {"18446744073709551615", 18446744073709551615U},
           {"17179869183G", 18446744072635809792U}}) {
    EXPECT_EQ(parse_size(text), expected) << text;
  }
}

TEST(Size, IsNothingElse) {
  for (const auto* const text : {"",
                                 "0",
                                 "0K",
                                 "0G",
                                 "K",
                                 "-1",
                                 "+1",
                                 "-1K",
                                 "1.5M",
                                 "1 M",
                                 " 1",
                                 "1 ",
                                 "1k",
                                 "1m",
                                 "1g",
                                 "1T",
                                 "1KB",
                                 "1KiB",
                                 "1B",
                                 "0x10",
                                 "1e3",
                                 "18446744073709551616",
                                 "17179869184G",
                                 "18446744073709551615K",
                                 "auto",
                                 "whole"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(PieceSize, IsAWordOrASize) {
  EXPECT_EQ(parse_piece_size("auto").value().kind, PieceSize::Kind::automatic);
  EXPECT_EQ(parse_piece_size("whole").value().kind, PieceSize::Kind::whole);
  EXPECT_EQ(parse_piece_size("16M").value().kind, PieceSize::Kind::fixed);
  EXPECT_EQ(parse_piece_size("16M").value().bytes, 16777216U);
  for (const auto* const text : {"", "0", "Auto", "WHOLE", "auto ", "16m", "-1", "none"}) {
    EXPECT_FALSE(parse_piece_size(text)) << text;
  }
}

TEST(SpreadTest, IsOneOfThreeWords) {
  EXPECT_EQ(parse_spread("auto"), Spread::automatic);
  EXPECT_EQ(parse_spread("claims"), Spread::claims);
  EXPECT_EQ(parse_spread("trees"), Spread::trees);
  for (const auto* const text : {"", "Auto", "tree", "trees "}) EXPECT_FALSE(parse_spread(text));
}

TEST(Inventory, IsOneAddressALine) {
  const auto all = std::get<std::vector<Address>>(
      parse_inventory("# hosts\n10.0.0.2\n\n  10.0.0.1  # rack 2\r\n\tfd00::7#\n#10.0.0.9\n \t\n"
                      "10.0.0.3"));
  std::vector<std::string> texts;
  texts.reserve(all.size());
  for (const auto& address : all) texts.push_back(address.text());
  EXPECT_EQ(texts, (std::vector<std::string>{"10.0.0.2", "10.0.0.1", "fd00::7", "10.0.0.3"}));
}

TEST(Inventory, NamesTheBadLine) {
  for (const auto& [text, line] : std::vector<std::pair<std::string, std::string>>{
           {"host-1", "line 1 of the inventory, 'host-1'"},
           {"10.0.0.1\n10.0.0.2 10.0.0.3\n", "line 2 of the inventory, '10.0.0.2 10.0.0.3'"},
           {"# one\n\n10.0.0.1\n10.0.0.02 # two\n10.x\n", "line 4 of the inventory, '10.0.0.02'"},
           {"10.0.0.1,10.0.0.2", "line 1 of the inventory, '10.0.0.1,10.0.0.2'"},
           {"10.0.0.1:873\n", "line 1 of the inventory, '10.0.0.1:873'"},
           {"10.0.0.0/24\n", "line 1 of the inventory, '10.0.0.0/24'"},
           {"10.0.0.1\n\x1b[31m\n", "line 2 of the inventory, '\\x1b[31m'"},
           {"; 10.0.0.1\n", "line 1 of the inventory, '; 10.0.0.1'"}}) {
    const auto parsed = parse_inventory(text);
    ASSERT_TRUE(std::holds_alternative<Refusal>(parsed)) << text;
    const auto& reason = std::get<Refusal>(parsed).reason;
    EXPECT_TRUE(reason.starts_with(line)) << reason;
    EXPECT_EQ(reason.find('\n'), std::string::npos);
  }
}

TEST(Inventory, OfNobodyIsRefused) {
  for (const auto* const text : {"", "\n", "#", "# 10.0.0.1", " \t\r\n\n"}) {
    const auto parsed = parse_inventory(text);
    ASSERT_TRUE(std::holds_alternative<Refusal>(parsed)) << text;
    EXPECT_NE(std::get<Refusal>(parsed).reason.find("names no host"), std::string::npos);
  }
}

class PasswordFile : public testing::Test {
 protected:
  void write(const std::string& content, mode_t mode = 0600) {
    std::filesystem::remove(path_);  // A file of mode 0400 cannot be written again.
    test::write_file(path_, content);
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
  }

  // Expects a refusal whose reason does not show the password.
  void expect_refused(const std::string& why) {
    const auto read = read_password_file(path_);
    ASSERT_TRUE(std::holds_alternative<Refusal>(read)) << why;
    const auto& reason = std::get<Refusal>(read).reason;
    EXPECT_NE(reason.find(why), std::string::npos) << reason;
    EXPECT_EQ(reason.find("s3cret"), std::string::npos) << reason;
  }

  test::TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "password";
};

TEST_F(PasswordFile, GivesItsFirstLine) {
  for (const auto& [content, password] : std::vector<std::pair<std::string, std::string>>{
           {"s3cret", "s3cret"},
           {"s3cret\n", "s3cret"},
           {"s3cret\r\n", "s3cret"},
           {"s3cret\nmore\n", "s3cret"},
           {" s3 cret \n", " s3 cret "},
           {"#s3cret\n", "#s3cret"},
           {"s\xc3\xa4\n", "s\xc3\xa4"},
           {std::string(4096, 'p'), std::string(4096, 'p')}}) {
    for (const mode_t mode : {0600U, 0400U, 0700U}) {
      write(content, mode);
      EXPECT_EQ(std::get<std::string>(read_password_file(path_)), password);
    }
  }
}

TEST_F(PasswordFile, IsForItsOwnerOnly) {
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0610U, 0601U, 0644U, 0660U, 0666U, 0777U}) {
    write("s3cret\n", mode);
    expect_refused("chmod 600");
  }
}

// Kubernetes and systemd give secrets as symlinks. The mode of the file itself counts.
TEST_F(PasswordFile, MayBeASymlinkToAFileForItsOwnerOnly) {
  const auto file = folder_.path() / "..data";
  std::filesystem::create_symlink("..data", path_);
  expect_refused("is not there");
  test::write_file(file, "s3cret\n");
  ASSERT_EQ(chmod(file.c_str(), 0600), 0);
  EXPECT_EQ(std::get<std::string>(read_password_file(path_)), "s3cret");
  ASSERT_EQ(chmod(file.c_str(), 0644), 0);
  expect_refused("has mode 0644");
}

TEST_F(PasswordFile, IsAFileWithAPasswordInIt) {
  expect_refused("is not there");
  for (const auto* const content : {"", "\n", "\r\n", "\ns3cret\n"}) {
    write(content);
    expect_refused("is empty");
  }
  write(std::string(4091, 'p') + "s3cret");
  expect_refused("is too long");
  std::filesystem::remove(path_);
  std::filesystem::create_directory(path_);
  expect_refused("it must be a file");
  std::filesystem::remove(path_);
  std::filesystem::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  expect_refused("it must be a file");
}

}  // namespace
}  // namespace libsync
