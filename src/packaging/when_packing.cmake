# cpack reads this before it packs.

cmake_policy(VERSION 3.25)
foreach(role MASTER MINION)
  set(CPACK_DEBIAN_${role}_PACKAGE_DEPENDS
      "sync-fanout (= ${CPACK_PACKAGE_VERSION}), cron | cron-daemon")
endforeach()

# Two builds of one version give the same bytes: every time in a package is that of its changelog.
if(NOT DEFINED ENV{SOURCE_DATE_EPOCH})
  file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/changelog trailer REGEX "^ -- " LIMIT_COUNT 1)
  string(REGEX REPLACE ".*>  " "" date "${trailer}")
  execute_process(COMMAND date --date ${date} +%s OUTPUT_VARIABLE seconds
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(ENV{SOURCE_DATE_EPOCH} ${seconds})
endif()
