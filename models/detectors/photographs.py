"""Stage photographs: the photographs that params.yaml names, in one file; none by default.

Run as `python -m models.detectors.photographs`.
"""

from models.detectors import examples, settings


def main() -> None:
    """Write data/photographs.h5."""
    params = settings.read()
    found = examples.join([examples.read_photographs(folder) for folder in params.photographs])
    examples.write(settings.HERE / "data" / "photographs.h5", found)
    print(f"{len(found)} photographs, {int(found.has_labels.sum())} with label maps")


if __name__ == "__main__":
    main()
