#include "os/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "libsync/core/escaped_text.h"
#include "libsync/core/failure.h"

namespace libsync {
namespace {

// %C is spdlog's year of two digits; it has no %y.
constexpr auto kPattern = "%d-%b-%C %H:%M:%S - %v";

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
  logger->set_pattern(kPattern);
  logger->set_level(to_spdlog(level));
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace libsync
