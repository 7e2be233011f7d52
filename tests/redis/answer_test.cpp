#include "redis/answer.h"

#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "libsync/core/failure.h"

namespace libsync {
namespace {

using Array = RedisValue::Array;
using Fields = std::map<std::string, std::string>;

RedisValue text(std::string value) { return {std::move(value)}; }
RedisValue number(std::int64_t value) { return {value}; }
RedisValue nil() { return {}; }
RedisValue array(Array values) { return {std::move(values)}; }
RedisValue error(std::string words) { return {RedisError{std::move(words)}}; }

// Expects the Failure for an answer that is not understood, as one line of text. It may pass if the
// master corrects the field that it names.
template <typename Read>
void expect_not_understood(const std::string& what, const Read& read) {
  try {
    read();
    ADD_FAILURE() << "understood: " << what;
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.status(), ExitStatus::redis) << what;
    const bool is_of_run =
        std::string(failure.what()).find("of the key sync:run") != std::string::npos;
    EXPECT_EQ(failure.remedy() == Remedy::try_again, is_of_run) << what;
    for (const char c : std::string(failure.what())) {
      ASSERT_GE(static_cast<unsigned char>(c), 0x20U) << what;
    }
  }
}

TEST(AnswerReader, ReadsOneElementAfterTheOther) {
  const auto answer = array({text("staged"), number(7), text("12"), text("any\n\x1b"), number(0)});
  AnswerReader reader(answer);
  EXPECT_EQ(reader.state(), RunState::staged);
  EXPECT_EQ(reader.number(), 7U);
  EXPECT_EQ(reader.number<unsigned>(), 12U);
  EXPECT_EQ(reader.text(), "any\n\x1b");
  EXPECT_FALSE(reader.flag());
  expect_not_understood("after the end", [&] { static_cast<void>(reader.value()); });
}

TEST(AnswerReader, ReadsOnlyArrays) {
  for (const auto& answer :
       {nil(), number(1), text("OK"), error("ERR \x1b[31m\n"), error(""), text("")}) {
    expect_not_understood("no array", [&] { AnswerReader reader(answer); });
    expect_not_understood("no array", [&] { static_cast<void>(is_for_us(answer, "OK")); });
  }
}

TEST(AnswerReader, ReadsNumbersInTheirRangeOnly) {
  for (const auto& value :
       {nil(), text(""), text("-1"), text("+1"), text(" 1"), text("1 "), text("1.0"), text("1e3"),
        text("0x1"), text("x"), text("4294967296"), text("99999999999999999999"), number(-1),
        number(std::numeric_limits<std::int64_t>::min()), number(std::int64_t{1} << 32U),
        array({number(1)}), error("ERR"), text(std::string("1\0", 2))}) {
    const auto answer = array({value});
    expect_not_understood("a bad number", [&] { AnswerReader(answer).number<PieceNumber>(); });
  }
  const auto largest = array({text("18446744073709551615"), number(4294967295)});
  AnswerReader reader(largest);
  EXPECT_EQ(reader.number(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(reader.number<PieceNumber>(), std::numeric_limits<PieceNumber>::max());
}

TEST(AnswerReader, ReadsTextsAndStatesStrictly) {
  for (const auto& value : {nil(), number(1), array({}), error("ERR")}) {
    const auto answer = array({value});
    expect_not_understood("no text", [&] { AnswerReader(answer).text(); });
  }
  for (const auto* const word : {"", "Staged", "staged ", "STAGING", "ended", "1"}) {
    const auto answer = array({text(word)});
    expect_not_understood(word, [&] { AnswerReader(answer).state(); });
  }
}

TEST(AnswerReader, ReadsAView) {
  const auto right = array({text("staging"), number(3), text("2"), number(1), number(250)});
  const auto view = AnswerReader(right).view();
  EXPECT_EQ(view.state, RunState::staging);
  EXPECT_EQ(view.sources, 3U);
  EXPECT_EQ(view.finished, 2U);
  EXPECT_EQ(view.suspicion, Suspicion::verify);
  EXPECT_EQ(view.usual_piece, std::chrono::milliseconds(250));
  for (auto shorter = *right.array(); !shorter.empty();) {
    shorter.pop_back();
    const auto answer = array(shorter);
    expect_not_understood("a short view", [&] { AnswerReader(answer).view(); });
  }
  const auto negative = array({text("staging"), number(-3), number(2), number(1), number(0)});
  expect_not_understood("a negative view", [&] { AnswerReader(negative).view(); });
}

TEST(AnswerReader, ReadsStagedPieces) {
  const auto digest = digest_of("x");
  const auto raw = encode(StagedPiece{0, digest, 0x1122334455667788U});
  const auto right = array({number(0), text(raw), text("4095"), text(raw)});
  const auto pieces = AnswerReader(right).staged_pieces();
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_EQ(pieces[1].piece, 4095U);
  EXPECT_EQ(pieces[1].digest, digest);
  EXPECT_EQ(pieces[1].sum, 0x1122334455667788U);
  for (const auto& wrong : std::vector<Array>{{number(0)},
                                              {number(4096), text(raw)},
                                              {number(-1), text(raw)},
                                              {text("4294967296"), text(raw)},
                                              {number(0), text("")},
                                              {number(0), text(std::string(raw.size(), '\0'))},
                                              {number(0), text(raw.substr(1))},
                                              {number(0), text(digest.hex())},
                                              {number(0), nil()},
                                              {nil(), text(raw)},
                                              {text(raw), number(0)},
                                              {number(0), text(raw), number(1)}}) {
    const auto answer = array(wrong);
    expect_not_understood("bad pieces", [&] { AnswerReader(answer).staged_pieces(); });
  }
}

TEST(AnswerReader, ReadsARangeOfDigests) {
  const auto digest = digest_of("x");
  const auto raw = encode(StagedPiece{0, digest, 0x1122334455667788U});
  const std::string none(kStagedBytes, '\0');
  const auto right = array({number(4093), text(raw + none + raw)});
  const auto pieces = AnswerReader(right).staged_range();
  ASSERT_EQ(pieces.size(), 2U) << "zeros are none";
  EXPECT_EQ(pieces[0].piece, 4093U);
  EXPECT_EQ(pieces[1].piece, 4095U);
  EXPECT_EQ(pieces[1].digest, digest);
  EXPECT_EQ(pieces[1].sum, 0x1122334455667788U);
  const auto nothing = array({number(0), text("")});
  EXPECT_TRUE(AnswerReader(nothing).staged_range().empty());
  for (const auto& wrong : std::vector<Array>{{number(0)},
                                              {number(4096), text(raw)},
                                              {number(4095), text(raw + raw)},
                                              {number(4097), text("")},
                                              {number(0), text(raw + "x")},
                                              {number(0), nil()},
                                              {text("4294967295"), text(raw)}}) {
    const auto answer = array(wrong);
    expect_not_understood("bad digests", [&] { AnswerReader(answer).staged_range(); });
  }
}

TEST(Answer, IsForUsUnlessStale) {
  EXPECT_TRUE(is_for_us(array({text("OK"), nil()}), "OK"));
  EXPECT_FALSE(is_for_us(array({text("STALE")}), "OK"));
  for (const auto& answer : {array({}), array({text("ok")}), array({text("\x1b[31m\n")}),
                             array({nil()}), array({number(1)}), array({array({text("OK")})})}) {
    expect_not_understood("no word of ours", [&] { static_cast<void>(is_for_us(answer, "OK")); });
  }
}

TEST(Answer, MeasuresTimesThatAreNeverNegative) {
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(between(1000, 1500).count(), 500);
  EXPECT_EQ(between(1500, 1000).count(), 0);
  EXPECT_EQ(between(kMost, 0).count(), 0);
  EXPECT_EQ(between(0, kMost).count(), std::numeric_limits<std::int64_t>::max());
}

RedisValue answer_of(const Fields& fields) {
  Array flat;
  for (const auto& [name, value] : fields) {
    flat.push_back(text(name));
    flat.push_back(text(value));
  }
  return array(flat);
}

RunInfo read(const Fields& named) {
  const auto answer = answer_of(named);
  AnswerReader reader(answer);
  const AnswerFields fields(reader);
  const auto manifest = read_manifest_field(fields.text("manifest"));
  if (!manifest) throw_not_understood("the manifest");
  return read_run(fields, *manifest);
}

const std::string kId(32, 'a');
const std::string kDigest(64, 'b');
const std::string kManifest = "6:blake3:" + kDigest;

Fields right_run() {
  return {{"id", kId},
          {"state", "staged"},
          {"path", "/data1/model.7"},
          {"name", "model.7"},
          {"fingerprint", kId},
          {"bytes", "2500"},
          {"pieces", "3"},
          {"piece_bytes", "1000"},
          {"manifest", kManifest},
          {"origin", "10.0.0.1"},
          {"origin_kind", "minion"},
          {"master", kId}};
}

TEST(ReadState, ReadsThatRunAlone) {
  const auto run = RunId::parse(kId).value();
  EXPECT_EQ(read_state(array({text(kId), text("staged")}), run), RunState::staged);
  EXPECT_EQ(read_state(array({text(kId), text("staging")}), run), RunState::staging);
  EXPECT_EQ(read_state(array({text(std::string(32, 'b')), text("staged")}), run), std::nullopt);
  EXPECT_EQ(read_state(array({nil(), nil()}), run), std::nullopt);
  for (const auto& answer : {array({}), array({text(kId)}), array({text(kId), nil()}),
                             array({text(kId), text("over")})}) {
    expect_not_understood("no state", [&] { static_cast<void>(read_state(answer, run)); });
  }
}

// The field `manifest` as other versions write it. The first is that of format 1.
std::vector<std::string> other_formats() {
  return {"blake3:" + kDigest,   "1:blake3:" + kDigest, "3:blake3:" + kDigest,
          "5:blake3:" + kDigest, "6:sha256:" + kDigest, ""};
}

TEST(ManifestField, OfAnotherFormatCannotBeRead) {
  for (const auto& manifest : other_formats()) {
    EXPECT_EQ(read_manifest_field(manifest), std::nullopt) << manifest;
  }
}

TEST(ManifestField, NamesTheFormatThatOtherVersionsCannotRead) {
  const auto digest = digest_of("any");
  EXPECT_EQ(read_manifest_field(manifest_field(digest)), digest);
  EXPECT_EQ(Digest::parse_named(manifest_field(digest)), std::nullopt) << "as format 1 reads it";
}

TEST(ReadRun, ReadsEveryField) {
  const auto run = read(right_run());
  EXPECT_EQ(run.id.text(), kId);
  EXPECT_EQ(run.state, RunState::staged);
  EXPECT_EQ(run.task.text(), "/data1/model.7");
  EXPECT_EQ(run.fingerprint.text(), kId);
  EXPECT_EQ(run.cut, (Cut{2500, 1000}));
  EXPECT_EQ(run.manifest.hex(), std::string(64, 'b'));
  EXPECT_EQ(run.origin.text(), "10.0.0.1");
  EXPECT_EQ(run.origin_kind, OriginKind::minion);
  EXPECT_EQ(run.master.text(), kId);
}

TEST(ReadRun, NeedsEveryField) {
  for (const auto& [name, value] : right_run()) {
    auto fields = right_run();
    fields.erase(name);
    expect_not_understood(name, [&] { static_cast<void>(read(fields)); });
  }
}

TEST(ReadRun, RefusesHostileFields) {
  const std::string upper(32, 'A');
  for (const auto& change :
       std::vector<Fields>{{{"id", ""}},
                           {{"id", upper}},
                           {{"id", "../" + kId.substr(3)}},
                           {{"master", upper}},
                           {{"fingerprint", "../../../etc/x"}},
                           {{"fingerprint", upper}},
                           {{"state", "ended"}},
                           {{"state", ""}},
                           {{"path", ""}},
                           {{"path", "/data1/../model.7"}},
                           {{"path", "model.7"}},
                           {{"path", "/data1/a\n"}, {"name", "a\n"}},
                           {{"path", "/data1/mo\ndel.7/model.7"}},
                           {{"path", "/data1/.libsync"}, {"name", ".libsync"}},
                           {{"path", "/data1/model.8"}},
                           {{"path", "/data1/.."}, {"name", ".."}},
                           {{"path", "/"}, {"name", ""}},
                           {{"name", "model.8"}},
                           {{"name", "/data1/model.7"}},
                           {{"name", ""}},
                           {{"manifest", ""}},
                           {{"manifest", "2:blake3:" + std::string(64, 'B')}},
                           {{"manifest", kId}},
                           {{"manifest", kDigest}},
                           {{"manifest", "2:" + kDigest}},
                           {{"origin", ""}},
                           {{"origin", "0.0.0.0"}},
                           {{"origin", "127.2"}},
                           {{"origin", "host"}},
                           {{"origin", "10.0.0.1:873"}},
                           {{"origin_kind", ""}},
                           {{"origin_kind", "Master"}},
                           // The cut.
                           {{"pieces", "2"}},
                           {{"pieces", "4"}},
                           {{"pieces", "-3"}},
                           {{"pieces", "3.0"}},
                           {{"pieces", "4294967299"}},
                           {{"bytes", "-1"}},
                           {{"bytes", ""}},
                           {{"bytes", "2e3"}},
                           {{"bytes", " 2500"}},
                           {{"bytes", "18446744073709551616"}},
                           {{"piece_bytes", "0"}},
                           {{"piece_bytes", "-1"}},
                           {{"piece_bytes", "18446744073709551615"}, {"pieces", "1"}},
                           {{"bytes", "0"}, {"pieces", "0"}},
                           {{"bytes", "4611686018427387905"},
                            {"piece_bytes", "4611686018427387904"},
                            {"pieces", "2"}},
                           {{"bytes", "4097"}, {"piece_bytes", "1"}, {"pieces", "4097"}},
                           {{"bytes", "4294967297"}, {"piece_bytes", "1"}, {"pieces", "1"}}}) {
    auto fields = right_run();
    for (const auto& [name, value] : change) fields[name] = value;
    expect_not_understood(change.begin()->first + " " + change.begin()->second,
                          [&] { static_cast<void>(read(fields)); });
  }
}

// --- Answers to the master ---

Array right_watch() {
  return {text("LOOK"),
          text("any task"),
          number(5000),
          number(1),
          number(3),
          number(1),
          text("2"),
          text("4000"),
          text("2000"),
          text("4500"),
          text(kId),
          text("staged"),
          text("/data1/model.7"),
          text("/data1/model.8"),
          text(kId),
          text(kManifest),
          number(7)};
}

TEST(ReadWatch, ReadsEveryElement) {
  const auto watch = read_watch(array(right_watch()));
  EXPECT_EQ(watch.task, "any task");
  ASSERT_TRUE(watch.run);
  EXPECT_EQ(watch.run->id.text(), kId);
  EXPECT_EQ(watch.run->state, RunState::staged);
  EXPECT_EQ(watch.run->task.text(), "/data1/model.7");
  EXPECT_EQ(watch.run->master.text(), kId);
  EXPECT_EQ(watch.run->finished, 1U);
  EXPECT_EQ(watch.run->expected, 3U);
  EXPECT_EQ(watch.run->newcomers, 7U);
  EXPECT_TRUE(watch.run->origin_is_suspect);
  EXPECT_EQ(watch.run->known_at_begin, 2U);
  EXPECT_EQ(watch.run->since_last_joined.count(), 1000);
  EXPECT_EQ(watch.run->age.count(), 3000);
  ASSERT_TRUE(watch.run->overtaken_for);
  EXPECT_EQ(watch.run->overtaken_for->count(), 500);
  ASSERT_TRUE(watch.run->waiting);
  EXPECT_EQ(watch.run->waiting->text(), "/data1/model.8");
  EXPECT_EQ(watch.run->format, RunFormat::ours);
}

TEST(ReadWatch, TellsARunOfAnotherFormat) {
  for (const auto& manifest : other_formats()) {
    auto answer = right_watch();
    answer[15] = text(manifest);
    const auto watch = read_watch(array(answer));
    ASSERT_TRUE(watch.run) << manifest;
    EXPECT_EQ(watch.run->format, RunFormat::other) << manifest;
  }
}

TEST(ReadWatch, FindsNoRunInAShortAnswer) {
  const auto watch_of = [](const RedisValue& task) {
    return read_watch(array({text("LOOK"), task, number(5000), number(0), number(0), number(0)}));
  };
  EXPECT_FALSE(watch_of(nil()).task);
  EXPECT_FALSE(watch_of(nil()).run);
  // An empty task is refused like any other that is no path.
  EXPECT_EQ(watch_of(text("")).task, "");
  const auto list = watch_of(array({text("list\x1b")}));
  EXPECT_FALSE(list.task);
  EXPECT_EQ(list.wrong_type, "list\\x1b");
}

TEST(ReadWatch, ATaskThatWaitsAndIsNoneIsNone) {
  for (const auto* const waiting : {"", "relative", "/data1/../model.8", "/data1/a\n"}) {
    auto answer = right_watch();
    answer[13] = text(waiting);
    EXPECT_FALSE(read_watch(array(answer)).run->waiting) << waiting;
  }
}

TEST(ReadWatch, RefusesHostileElements) {
  const std::vector<std::pair<std::size_t, RedisValue>> changes = {{0, text("STALE")},
                                                                   {2, text("now")},
                                                                   {3, number(-1)},
                                                                   {6, text("")},
                                                                   {7, text("x")},
                                                                   {10, text("not an id")},
                                                                   {11, text("over")},
                                                                   {12, text("")},
                                                                   {12, text("model.7")},
                                                                   {12, text("/data1/a\n")},
                                                                   {12, nil()},
                                                                   {14, text("")},
                                                                   {14, text("not an id")},
                                                                   {15, nil()}};
  for (const auto& [at, value] : changes) {
    auto answer = right_watch();
    answer[at] = value;
    expect_not_understood("element " + std::to_string(at),
                          [&] { static_cast<void>(read_watch(array(answer))); });
  }
}

}  // namespace
}  // namespace libsync
