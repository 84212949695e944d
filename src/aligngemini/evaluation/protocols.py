"""Protocols: what happens to the images of each class before they are judged.

| name | photos | fakes |
|---|---|---|
| `as-is` | as they are | as they are |
| `fakes-jpeg96` | as they are | saved as JPEG of quality 96 |
| `all-alike` | saved as JPEG of quality 96 | saved as JPEG of quality 96 |

`fakes-jpeg96` is how the numbers of DDA and AlignGemini on GenImage, ForenSynths, AIGCDetect and
AIGIBench came about. There photos are JPEG and fakes PNG, and the re-saving takes the format away
as a clue; but then the fakes alone have been through one more encoder, which is a clue again.
`all-alike` takes every image through it. Any delivery (`images.deliveries`) is a protocol too and
treats both classes alike: `jpeg:75`.

What no re-encoding takes away is the picture's size, and what an earlier compression left in it.
"""

from aligngemini.images.deliveries import AS_IS, DeliveryError, parse_delivery

JPEG_96 = "jpeg:96"
FAKES_JPEG96 = "fakes-jpeg96"
ALL_ALIKE = "all-alike"

PROTOCOLS: dict[str, dict[str, str | None]] = {
    AS_IS: {"real": None, "fake": None},
    FAKES_JPEG96: {"real": None, "fake": JPEG_96},
    ALL_ALIKE: {"real": JPEG_96, "fake": JPEG_96},
}


def delivery_for(protocol: str, label: str) -> str | None:
    """What happens to an image under a protocol, as `images.deliveries` reads it.

    Args:
        protocol: A name of `PROTOCOLS`, or a delivery.
        label: `real` or `fake`.

    Returns:
        A delivery, or None where the file is judged as it is.

    Raises:
        DeliveryError: (a ValueError) There is no such protocol or delivery.
    """
    if protocol in PROTOCOLS:
        return PROTOCOLS[protocol][label]
    try:
        parse_delivery(protocol)
    except DeliveryError as error:
        raise DeliveryError(
            f"no protocol {protocol!r}: there are {', '.join(PROTOCOLS)}, and deliveries; {error}"
        ) from error
    return protocol


def default_protocols(*, jpeg96: bool) -> tuple[str, ...]:
    """What a benchmark is evaluated under: as it is, the honest column, and how others did it.

    Args:
        jpeg96: Whether its published numbers have the fakes re-saved.
    """
    return (AS_IS, FAKES_JPEG96, ALL_ALIKE) if jpeg96 else (AS_IS, ALL_ALIKE)
