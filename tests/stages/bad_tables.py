"""Tables beside good pictures: what each bad row, and each bad table, comes to."""

import json

HEADER = "name:keypoints_y:keypoints_x\n"
ROW = json.dumps([50] * 18)
PAIRS = "from,to\n" + "ada_0,ada_1\nbob_0,bob_1\n" * 3

# Tables beside six good pictures: the file's name, its text or bytes, and the beginnings of what is set aside by name.
ROWS = {
    "a blank list": (f"{HEADER}ada_0: : {ROW}\n", {"ada_0": "j.csv, line 2: keypoints_y is not a list"}),
    "NaN": (f"{HEADER}ada_0: {ROW}: [{'NaN,' * 17}1]\n", {"ada_0": "j.csv, line 2: keypoints_x holds nan"}),
    "infinity": (f"{HEADER}ada_0: {ROW}: [{'1e999,' * 17}1]\n", {"ada_0": "j.csv, line 2: keypoints_x holds inf"}),
    "words": (f'{HEADER}ada_0: {ROW}: [{"true," * 17}"a"]\n', {"ada_0": "j.csv, line 2: keypoints_x holds True"}),
    "a number beyond floats": (f"{HEADER}ada_0: {ROW}: [{'1,' * 17}1{'0' * 400}]\n", {"ada_0": "j.csv, line 2: keypoints_x holds 1000"}),
    "a number beyond Python": (f"{HEADER}ada_0: {ROW}: [{'1,' * 17}1{'0' * 9000}]\n", {"ada_0": "j.csv, line 2: "}),
    "17 joints": (f"{HEADER}ada_0: {ROW}: {[1] * 17}\n", {"ada_0": "j.csv, line 2: keypoints_x must be a list of 18"}),
    "brackets without end": (f"{HEADER}ada_0: {ROW}: {'[' * 99_999}\n", {"ada_0": "j.csv, line 2: keypoints_x is not a list"}),
    "a missing cell": (f"{HEADER}ada_0: {ROW}\n", {"ada_0": "j.csv, line 2: has no column"}),
    "a line beyond all measure": (f"{HEADER}{'x' * 300_000}: {ROW}: []\n", {"x" * 5000: "j.csv, line 2: keypoints_x must be"}),
    "a picture twice": (f"{HEADER}ada_0: {ROW}: {ROW}\nada_0.jpg: {ROW}: {ROW}\n", {"ada_0.jpg": "j.csv, line 3: this picture was annotated before"}),
    "a path out of the folder": (f"{HEADER}../../etc/passwd: {ROW}: {ROW}\n", {}),
    "bytes that are not UTF-8": (HEADER.encode() + b"\xff\xfe: [: [\n", {"\ufffd\ufffd": "j.csv, line 2: keypoints_x is not a list"}),
    "NUL bytes": (f"{HEADER}ada\0_0: {ROW}: x\n", {"ada\0_0": "j.csv, line 2: keypoints_x is not a list"}),
    "a pair of an absent picture": (f"{PAIRS}ada_0,cid_9\n", {"ada_0 -> cid_9": "j.csv, line 8: 'cid_9': there is no such picture"}),
    "a pair of blanks": (f"{PAIRS},\n", {" -> ": "j.csv, line 8: ''"}),
    "a pair out of the folder": (f"{PAIRS}/etc/passwd,../../x\n", {"/etc/passwd -> ../../x": "j.csv, line 8: '/etc/passwd'"}),
    "a pair with a stray quotation mark": (f'{PAIRS}"ada_0,ada_1\n', {"ada_0,ada_1 -> ": "j.csv, line 8: "}),
}  # fmt: skip

# Tables that stop the run, and what the message says.
STOPPING_TABLES = {
    "annotation without y": (b"name:keypoints_x\n", ["j.csv, line 1", "'keypoints_y'", "the header must be name:"]),
    "annotation with commas": (b"name,keypoints_y,keypoints_x\n", ["j.csv, line 1", "'name'", "the header must be"]),
    "annotation in UTF-16": (f"{HEADER}ada_0: {ROW}: {ROW}\n".encode("utf-16"), ["j.csv, line 1", "in UTF-8"]),
    "pairs without a target": (b"from,target\nada_0,ada_1\n", ["j.csv, line 1", "'to'", "from,to"]),
    "pairs with semicolons": (b"from;to\nada_0;ada_1\n", ["j.csv, line 1", "'from'", "from,to"]),
    "pairs in UTF-16": (PAIRS.encode("utf-16"), ["j.csv, line 1", "in UTF-8"]),
    "pairs of absent pictures": (
        b"from,to\n" + b"cid_1,cid_2\n" * 9,
        ["9 of 9 were set aside", "ingest.max_quarantined (for the pair list)", "j.csv, line 2", "params.yaml"],
    ),
}
