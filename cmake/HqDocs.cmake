# Manual pages and shell completion, made by the fresh hq from its command table.
set(HQ_DOC_DIR ${CMAKE_BINARY_DIR}/share)
file(MAKE_DIRECTORY ${HQ_DOC_DIR}/man1 ${HQ_DOC_DIR}/completion)

add_custom_command(
    OUTPUT ${HQ_DOC_DIR}/man1/hq.1
    COMMAND hq generate-docs man ${HQ_DOC_DIR}/man1
    COMMAND hq generate-completion bash > ${HQ_DOC_DIR}/completion/hq 2> /dev/null
    COMMAND hq generate-completion zsh > ${HQ_DOC_DIR}/completion/_hq 2> /dev/null
    COMMAND hq generate-completion fish > ${HQ_DOC_DIR}/completion/hq.fish 2> /dev/null
    DEPENDS hq
    COMMENT "Writing manual pages and shell completion")
add_custom_target(hq_docs ALL DEPENDS ${HQ_DOC_DIR}/man1/hq.1)

install(DIRECTORY ${HQ_DOC_DIR}/man1/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${PROJECT_SOURCE_DIR}/docs/man/hq-log.5
              ${PROJECT_SOURCE_DIR}/docs/man/hq-workflow.5
        DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
# What README.md links to, as it lies in the tree.
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DOCDIR}
        PATTERN man EXCLUDE)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/examples ${PROJECT_SOURCE_DIR}/jobscripts
        DESTINATION ${CMAKE_INSTALL_DOCDIR} USE_SOURCE_PERMISSIONS)
install(FILES ${HQ_DOC_DIR}/completion/hq
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${HQ_DOC_DIR}/completion/_hq
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${HQ_DOC_DIR}/completion/hq.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
