#include "os/log.h"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"

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
  std::shared_ptr<spdlog::logger> logger;
  try {
    if (file) {
      logger = std::make_shared<spdlog::logger>(
          "sync", std::make_shared<spdlog::sinks::basic_file_sink_mt>(file->string()));
    } else {
      logger = std::make_shared<spdlog::logger>("sync",
                                                std::make_shared<spdlog::sinks::stdout_sink_mt>());
    }
  } catch (const spdlog::spdlog_ex& error) {
    throw Failure(ExitStatus::local, Remedy::operator_acts,
                  fmt::format("--log-file: {}: make its folder, or let this user write there",
                              escaped(error.what())));
  }
  set_format(*logger);
  logger->set_level(to_spdlog(level));
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

void print_problem(const std::string& message) {
  spdlog::logger logger("problem", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  set_format(logger);
  if (isatty(STDERR_FILENO) == 1) logger.set_pattern("%v");
  logger.error("{}", message);
}

}  // namespace libsync
