/*
 * sherd check --fix: makes a damaged directory one that a server starts with.
 *
 *  - Journals of a stretch with damage are cut where it begins, and so is what in the stretch's
 *    other journals follows on what is lost; all journals of later stretches up to the next
 *    snapshot are emptied, for they follow on it, too.
 *  - A damaged snapshot or increment with all before it whole, and journals up to it, is taken out
 *    of the manifest: what is before it and these journals are the same data. Where there is no
 *    such way round nothing is changed.
 *  - What a start would cut off is cut off.
 *
 * Nothing is thrown away: what is cut off a file stands in <file>.cut-<n>, on the disk before the
 * file is cut.
 */
#ifndef SERVER_TOOLS_FIX_H
#define SERVER_TOOLS_FIX_H

#include "server/tools/tool.h"

/* By what recovery_look() has found; says what it does. False after saying what it couldn't do. */
bool fix(struct tool *tool);

/* Whether the first snapshot or increment of the data that is bad, if any, can be done without. */
bool fix_has_way_round(const struct recovery *recovery);

#endif
