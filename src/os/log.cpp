#include "os/log.h"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"
#include "libsync/core/repeats.h"

namespace libsync {
namespace {

// %C is spdlog's year of two digits; it has no %y. %* is Severity.
constexpr auto kPattern = "%d-%b-%C %H:%M:%S - %*%v";

// The word in front of a problem. Other lines have none, as in the logs of the Python pair.
class Severity final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& text) override {
    std::string_view word;
    if (message.level == spdlog::level::warn) word = "warning: ";
    if (message.level >= spdlog::level::err) word = "error: ";
    text.append(word.data(), word.data() + word.size());
  }

  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<Severity>();
  }
};

// Passes lines on to another sink. A problem that repeats is logged once, and then counted.
class CountingSink final : public spdlog::sinks::sink {
 public:
  explicit CountingSink(spdlog::sink_ptr inner) : inner_(std::move(inner)) {}

  void log(const spdlog::details::log_msg& message) override {
    if (message.level < spdlog::level::warn) return inner_->log(message);
    const std::scoped_lock lock(mutex_);
    auto& repeats = message.level == spdlog::level::warn ? warnings_ : errors_;
    const std::string line(message.payload.data(), message.payload.size());
    for (const auto& text : repeats.on(line, message.time)) write(message, text);
  }
  void flush() override { inner_->flush(); }
  void set_pattern(const std::string& pattern) override { inner_->set_pattern(pattern); }
  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override {
    inner_->set_formatter(std::move(formatter));
  }

  // Logs all counts.
  void finish() {
    const std::scoped_lock lock(mutex_);
    for (const auto& text : warnings_.finish()) write(spdlog::level::warn, text);
    for (const auto& text : errors_.finish()) write(spdlog::level::err, text);
    inner_->flush();
  }

 private:
  void write(spdlog::details::log_msg message, const std::string& text) {
    message.payload = text;
    inner_->log(message);
  }
  void write(spdlog::level::level_enum level, const std::string& text) {
    inner_->log(spdlog::details::log_msg("sync", level, text));
  }

  spdlog::sink_ptr inner_;
  std::mutex mutex_;
  Repeats warnings_;  // Guarded by mutex_.
  Repeats errors_;    // Guarded by mutex_.
};

// The sink of the log that was started last.
std::shared_ptr<CountingSink>& present_sink() {
  static std::shared_ptr<CountingSink> sink;
  return sink;
}

void set_format(spdlog::logger& logger) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<Severity>('*').set_pattern(kPattern);
  logger.set_formatter(std::move(formatter));
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      break;
  }
  return spdlog::level::err;
}

}  // namespace

std::optional<LogLevel> parse_log_level(std::string_view text) {
  if (text == "debug") return LogLevel::debug;
  if (text == "info") return LogLevel::info;
  if (text == "warning") return LogLevel::warning;
  if (text == "error") return LogLevel::error;
  return std::nullopt;
}

void start_log(LogLevel level, const std::optional<std::filesystem::path>& file) {
  end_log();
  spdlog::sink_ptr sink;
  try {
    if (file) {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file->string());
    } else {
      sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
    }
  } catch (const spdlog::spdlog_ex& error) {
    throw Failure(ExitStatus::local, Remedy::operator_acts,
                  fmt::format("--log-file: {}: make its folder, or let this user write there",
                              escaped(error.what())));
  }
  present_sink() = std::make_shared<CountingSink>(std::move(sink));
  auto logger = std::make_shared<spdlog::logger>("sync", present_sink());
  set_format(*logger);
  logger->set_level(to_spdlog(level));
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

void end_log() {
  if (present_sink()) present_sink()->finish();
}

void print_problem(const std::string& message) {
  spdlog::logger logger("problem", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  set_format(logger);
  if (isatty(STDERR_FILENO) == 1) logger.set_pattern("%v");
  logger.error("{}", message);
}

}  // namespace libsync
