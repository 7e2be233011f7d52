# cpack runs this between the install rules and the packing. It gives the folder of each component the form
# that Debian's policy prescribes: compressed manual pages and changelog, a copyright file, and overrides of
# lintian. It gives the cron files a second condition.

cmake_policy(VERSION 3.25)
set(source ${CPACK_SYNC_FANOUT_SOURCE})
set(from ${CMAKE_CURRENT_LIST_DIR})
set(staged ${CPACK_TEMPORARY_INSTALL_DIRECTORY})

function(compress)
  execute_process(COMMAND gzip --best --no-name --force ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(GLOB pages ${staged}/programs/usr/share/man/man*/*)
compress(${pages})

file(READ ${source}/LICENSE license)
string(REGEX MATCH "Copyright \\(c\\) ([^\n]*)" holders "${license}")
set(holders ${CMAKE_MATCH_1})
string(REGEX REPLACE "^.*${holders}\n+" "" terms "${license}")
string(STRIP "${terms}" terms)
string(REPLACE "\n\n" "\n.\n" terms "${terms}")
string(REPLACE "\n" "\n " terms "${terms}")

foreach(component programs master minion)
  set(package sync-fanout)
  if(NOT component STREQUAL programs)
    string(APPEND package -${component})
  endif()
  set(share ${staged}/${component}/usr/share)
  set(doc ${share}/doc/${package})
  file(MAKE_DIRECTORY ${doc} ${share}/lintian/overrides)
  file(WRITE ${doc}/copyright
    "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
    "Upstream-Name: sync-fanout\n\n"
    "Files: *\nCopyright: ${holders}\nLicense: Expat\n ${terms}\n")
  file(READ ${from}/changelog changelog)
  string(REGEX REPLACE " -- [^\n]*>  " " -- ${CPACK_DEBIAN_PACKAGE_MAINTAINER}  " changelog "${changelog}")
  file(WRITE ${doc}/changelog "${changelog}")
  compress(${doc}/changelog)
  file(READ ${from}/lintian-overrides overrides)
  if(NOT component STREQUAL programs)
    file(READ ${from}/role/lintian-overrides of_role)
    string(APPEND overrides "${of_role}")
  endif()
  string(REPLACE "@package@" ${package} overrides "${overrides}")
  file(WRITE ${share}/lintian/overrides/${package} "${overrides}")
endforeach()
file(REMOVE ${staged}/programs/usr/share/doc/sync-fanout/LICENSE)  # The file copyright holds its text.

# apt-get remove keeps files in /etc, and the programs may stay for the other role. So a line of cron runs
# while its package is installed: while this file, which is in no folder of configuration, is there.
foreach(role master minion)
  set(installed /usr/share/sync-fanout/${role})
  file(WRITE ${staged}/${role}${installed}
    "The line in /etc/cron.d/sync-fanout-${role} runs while this file is there: while its package is\n"
    "installed.\n")
  set(cron ${staged}/${role}/etc/cron.d/sync-fanout-${role})
  file(READ ${cron} text)
  string(REPLACE " ] && sync-${role}" " ] && [ -f ${installed} ] && sync-${role}" gated "${text}")
  string(REPLACE "; without that file nothing runs."
                 "; without that file nothing runs,\n# and nothing once the package is removed." gated "${gated}")
  if(NOT gated MATCHES "toml ] && \\[ -f ${installed} ] && sync-.*" OR NOT gated MATCHES "package is removed")
    message(FATAL_ERROR "cron/sync-fanout-${role} has another form than ${CMAKE_CURRENT_LIST_FILE} expects")
  endif()
  file(WRITE ${cron} "${gated}")
endforeach()

file(GLOB_RECURSE written ${staged}/*/usr/share/* ${staged}/*/etc/*)
foreach(file ${written})
  if(NOT IS_DIRECTORY ${file} AND NOT IS_SYMLINK ${file})
    file(CHMOD ${file} PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  endif()
endforeach()
file(GLOB_RECURSE all LIST_DIRECTORIES true ${staged}/*)
foreach(folder ${all})
  if(IS_DIRECTORY ${folder})
    file(CHMOD ${folder} PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
                                     WORLD_READ WORLD_EXECUTE)
  endif()
endforeach()
