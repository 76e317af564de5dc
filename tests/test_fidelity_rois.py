"""ROI selections are numpy's, to the bit, over random volumes, tables and conditions."""

from fidelity_rois import rois


def test_selections_are_those_of_numpy(run, tmp_path):
    for name, cases, absolute, relative in rois(run, tmp_path, cases=15):
        assert cases > 5, name
        if name.endswith("mean"):
            assert relative < 1e-14, (name, absolute, relative)
        else:
            assert absolute == relative == 0, (name, absolute, relative)
