# Three Debian packages, one for each component that the install rules name:
#
#   cmake --workflow --preset packages    builds them in build/packages
#
# `sync-fanout` holds the programs; `sync-fanout-master` and `sync-fanout-minion` hold the cron file of one
# role each. So no host becomes a master by an update. DEBFULLNAME and DEBEMAIL name the maintainer.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sync-fanout)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_VENDOR "The sync-fanout authors")
# CPack would put the summary of the project before the description of each package.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(CPACK_COMPONENTS_ALL programs master minion)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 1)  # With more than one, xz splits its output by their number.

set(here ${CMAKE_CURRENT_LIST_DIR})
set(made ${PROJECT_BINARY_DIR}/packaging)
set(CPACK_SYNC_FANOUT_SOURCE ${PROJECT_SOURCE_DIR})
set(CPACK_PROJECT_CONFIG_FILE ${here}/when_packing.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${here}/stage.cmake)

set(name "The sync-fanout authors")
set(mail sync-fanout@localhost)
if(DEFINED ENV{DEBEMAIL})
  set(mail $ENV{DEBEMAIL})
endif()
if(DEFINED ENV{DEBFULLNAME})
  set(name $ENV{DEBFULLNAME})
endif()
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${name} <${mail}>")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(about "sync-fanout brings a file or a folder from one host to hundreds, over the rsync
daemons of the hosts. Every host that has a piece serves it on. The hosts
coordinate by functions in one Redis.")

set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME sync-fanout)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_DEPENDS "rsync (>= 3.2.7), adduser")
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SUGGESTS "logrotate")
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_CONTROL_EXTRA
    "${here}/programs/conffiles;${here}/programs/postinst;${here}/programs/postrm")
set(CPACK_DEBIAN_PROGRAMS_DESCRIPTION "distribution of files to hundreds of hosts over rsync
${about}

This package has both programs, their manual pages, and examples of the
configuration. It starts nothing. Install sync-fanout-minion on each host that
receives, and sync-fanout-master on the one host that sends.")

set(CPACK_DEBIAN_MASTER_DESCRIPTION "distribution of files over rsync: host that sends
${about}

This package has the cron file of the master. Install it on one host only, the
host whose files are distributed. Cron starts no master before there is an
/etc/sync-fanout/sync.toml.")
set(CPACK_DEBIAN_MASTER_PACKAGE_RECOMMENDS "redis-tools | valkey-tools")
set(CPACK_DEBIAN_MASTER_PACKAGE_SUGGESTS "redis-server | valkey-server")

set(CPACK_DEBIAN_MINION_DESCRIPTION "distribution of files over rsync: hosts that receive
${about}

This package has the cron file of the minion. Install it on each host that
receives files. Cron starts no minion before there is an
/etc/sync-fanout/sync.toml.")

foreach(role master minion)
  string(TOUPPER ${role} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME sync-fanout-${role})
  set(CPACK_DEBIAN_${upper}_PACKAGE_ARCHITECTURE all)
  foreach(script conffiles postrm)
    configure_file(${here}/role/${script}.in ${made}/${role}/${script} @ONLY USE_SOURCE_PERMISSIONS)
    list(APPEND CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA ${made}/${role}/${script})
  endforeach()
endforeach()

include(CPack)
