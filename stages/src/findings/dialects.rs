//! Where an analyser's files differ from what SARIF asks for, as seen in what it writes.

/// How cppcheck calls itself.
const CPPCHECK: &str = "Cppcheck";

/// Rules by which cppcheck says that it could not read the code. SARIF has notifications for that, which are no results.
const CPPCHECK_COULD_NOT_READ: [&str; 14] = [
    "cppcheckError",
    "cppcheckLimit",
    "includeNestedTooDeeply",
    "instantiationError",
    "internalAstError",
    "internalError",
    "missingInclude",
    "missingIncludeExplicit",
    "missingIncludeSystem",
    "noValidConfiguration",
    "preprocessorErrorDirective",
    "syntaxError",
    "unhandledChar",
    "unknownMacro",
];

/// Whether a rule of an analyser is about its own reading of the code and not about the code.
pub fn could_not_read(tool: &str, rule_id: Option<&str>) -> bool {
    tool == CPPCHECK && rule_id.is_some_and(|rule| CPPCHECK_COULD_NOT_READ.contains(&rule))
}

/// Whether an analyser's `locations` are the way through the code to a place, which is the last of them, rather than places each.
pub fn last_location_is_the_place(tool: &str) -> bool {
    tool == CPPCHECK
}
