"""What ``--help`` prints. Plain text, so that it appears at once and teaches without the manual."""

LINE_COMMANDS = {
    "run": "the whole line: prepare, train, sample, encode, score, downstream, report",
    "prepare": "read the scans, split the patients, and show what was found on a page, cohort.html",
    "train": "… and train the generators",
    "sample": "… and choose a snapshot of each on validation patients, and draw the synthetic sets",
    "encode": "… and compute features of every set",
    "score": "… and compute fidelity and memorisation",
    "downstream": "… and train classifiers on real and on synthetic images",
    "report": "… and write report.html, results.json and results.parquet",
}
COMMANDS = {
    **LINE_COMMANDS,
    "selftest": "run cases with a known answer through the metrics, and print expected and found",
    "compare": "one leaderboard from several runs",
    "export": "one set of a finished run as DICOM or NIfTI files",
    "doctor": "what this machine can do: GPU, decoders, weights, disk",
}

_LIST = "\n".join(f"  {name:<11}{text}" for name, text in COMMANDS.items())

MAIN_HELP = f"""\
synthassay: assays of synthetic medical images. Are they faithful, do they copy patients, do classifiers trained on
them hold up at other sites, and how would you know?

usage: synthassay COMMAND [SETTING=VALUE ...]

commands:
{_LIST}

first steps:
  synthassay run experiment=phantom_demo                   the embedded digital phantom, about five minutes of two cores
  synthassay run experiment=lgg_mri cohort.root=DIR        brain MRI (BIDS NIfTI), tumour slices, three hospitals
  synthassay prepare cohort=dicom cohort.root=DIR          what a DICOM folder holds, before anything is trained
  synthassay run cohort=dicom cohort.root=DIR cohort.table.path=labels.csv generator=edm    one generator on it
  synthassay run cohort=nifti cohort.root=DIR generator=external generator.root=DIR    a set that others generated
  synthassay score --real real.npz --synthetic synth.npz --out DIR     features that you have already

`synthassay COMMAND --help` explains a command. The same command continues after a crash and does nothing twice.
"""

GENERATORS = {
    "edm": "diffusion (EDM)",
    "edm2": "EDM with EDM2's magnitude-preserving network and its averages of weights",
    "ddpm": "the classic diffusion, sampled by DDIM or step by step",
    "flow": "rectified flow",
    "latent_edm": "EDM in the latent of an autoencoder that is trained first; images and volumes",
    "latent_flow": "rectified flow in such a latent",
    "gan": "a GAN after R3GAN, with adaptive augmentation",
    "gan3d": "the same on volumes (cohort.dimensions=3)",
    "vae": "a variational autoencoder",
    "overfit": "a few images learnt by heart: a positive control for memorisation",
    "external": "images that somebody else generated: generator.root=DIR",
    "monai_bundle": "a pretrained generator of somebody else: generator.path=PATH (docs/pretrained.md)",
    "diffusers": "the same, a pipeline folder of diffusers",
    "medigan": "the same, a zip of medigan",
}

_FAMILIES = "\n".join(f"  {name:<14}{text}" for name, text in GENERATORS.items())
_FAMILIES = f"generators (docs/generators.md):\n{_FAMILIES}\n"

_SETTINGS = """\
settings that most people change (SETTING=VALUE; every setting is a line of YAML under conf/):
  experiment=NAME         phantom_demo, phantom_copies, phantom_overfit, phantom_privacy, lgg_mri, ham10000,
                          hippocampus: a cohort with the settings that suit it
  cohort=NAME             phantom, dicom, nifti, images, or a recipe: medmnist, chexpert, mimic_cxr_jpg, oasis, ...
                          (a card for each in data/README.md)
  cohort.root=DIR         where the scans are
  generators=[edm,gan]    the families to train in this run (default [edm,gan,vae])
  generator=NAME          one of those below, whose settings are then generator.SETTING=VALUE
  generator.condition_on=[label,device]   any of label, site, device, sex, age_band, slice_position, mask
                          (default: label, where the cohort has labels)
  generator.root=DIR      with generator=external: the folder of synthetic images
  generator.path=PATH     with generator=monai_bundle, diffusers or medigan: the pretrained generator
  generator.trained_on=FILE   with generator=external: the patients it was trained on, one id a line
  private=dp              differentially private training, a patient the unit: docs/private_training.md
  generator.init_from=RUN start with the weights of a finished training
  budget=NAME             quick (CPU minutes), standard (about three minutes of a large GPU a generator), full
  select.rule=last        sample the end of each training, not the snapshot nearest to validation patients
  sample.plan=uniform     which conditions are sampled: real (default), uniform (rare groups as often), or a CSV/TSV
  sample.counterfactuals.columns=[device]   strips of the same seed with a condition changed (default: every condition)
  seed=N                  training and sampling; the split has its own (cohort.split.seed)
  tracker=wandb           log to Weights & Biases; offline without a key or network
  report.audience=release aggregates only: no real image, no per-image score
  resources.device=cpu    auto, cpu or cuda
  out=DIR                 where the report or page goes (default runs/COHORT-IDENTITY)
  store.root=DIR          where finished stages are kept (default runs/store)
  --config-dir DIR        a folder with YAML of your own
  --cfg job               print the composed settings and stop
"""

_SWEEP = """\
sweeps:
  synthassay run -m generator=edm,gan,vae seed=0,1,2
  synthassay run -m generator=edm generator.sampling.steps=8,18,35        trains once and samples three times
  synthassay run -m hydra/launcher=slurm hydra.launcher.partition=gpu generator=edm,gan,vae seed=0,1,2
  synthassay compare runs/*/            then ranks the cells (folders without results are left out)

one run on several GPUs:
  torchrun --nproc-per-node=gpu -m synthassay run generator=edm
  srun synthassay run generator=edm     one task for each GPU: scripts/slurm_team.sbatch
"""

_SCORE_FILES = """\
on feature files, without a cohort:
  synthassay score --real real.npz --synthetic synth.npz --out DIR [--control FILE | --split-real] [--train FILE] ...

files: .npz with the key features, [n, d] floating point, and optionally ids, patients and labels, [n] text or whole
numbers; or .npy with the features alone. Patients are the resampling unit of every interval: name them.
  np.savez("real.npz", features=features, ids=ids, patients=patients, labels=labels)

  --real FILE        held-out real images, the reference of the headline
  --synthetic FILE   the set under test
  --control FILE     real images of other patients: scored like the set, they are the floor. The larger of the two is
                     cut to the number of the other, by whole patients
  --split-real       or take a random half of the patients of --real as the control; with neither there is no floor
  --train FILE       what the generator was trained on: adds authenticity and whether the set is closer to train
  --groups FILE      table (CSV) with the column id and any of label, site, device, view, sex, age_band; joined on ids
  --encoder NAME     what made the features; fid-inception makes the Fréchet distance FID. Without a name, values are
                     comparable only with others against the same real file
  --name NAME        what to call the set (default: the name of its file)
  --k N              neighbours that make a neighbourhood (default 5)
  --seed N           half-samples, and the halves of --split-real (default 0)
  --replicates N     half-samples behind the intervals of neighbour metrics (default 200)
  --device NAME      auto, cpu or cuda (default auto)
  --out DIR          receives results.json and results.parquet; `synthassay compare` ranks several such folders

Prints the table of results and, last, the path of results.json.
"""

_SELFTEST = """\
usage: synthassay selftest [--device auto|cpu|cuda]

Runs the metrics of this installation on cases whose answer is known from theory (two Gaussians, identical sets,
disjoint sets, a dropped mode, planted copies, ...) and prints expected and found. Exit code 1 if any case fails.
"""

_COMPARE = """\
usage: synthassay compare DIR [DIR ...] [out=FILE.html] [partial=true]

Writes one HTML leaderboard (default leaderboard.html) from the results of several runs. Values are ranked only when
everything that must agree does (encoder, reference patients, counts, definition). Otherwise the command stops and
names the difference; with partial=true it ranks what can be ranked and lists what was refused.
"""

_EXPORT = """\
usage: synthassay export run=DIR set=NAME format=dicom|nifti out=DIR [modality=MR] [real=true] [store=DIR]

  synthassay export run=runs/demo set=edm format=dicom out=exported

Writes the images of one set of a finished run, pixels unchanged, with what is known of each (label, site, device, view,
sex, age, split, seed), and their table images.tsv. DICOM files are Secondary Capture; synthetic ones are marked as such
(Synthetic Data = YES) and UIDs are new. NIfTI files have a JSON sidecar each.

  set=NAME       a generator, a control, an external set, or a split of the real images: generator-train, control-a,
                 control-b, validation, test, external
  real=true      needed for images of patients: they are written under pseudonyms, and are patient data all the same
  modality=MR    written to the DICOM files; a set does not know its own
  store=DIR      the store of the run, where it is not the folder store beside run=DIR
"""

_DOCTOR = """\
usage: synthassay doctor [store.root=DIR]

Prints what this machine can do: GPU and precision, DICOM decoders, encoder weights, W&B login, free disk.
"""


def help_of(command: str) -> str:
    """The help of one command."""
    if command == "compare":
        return _COMPARE
    if command == "doctor":
        return _DOCTOR
    if command == "export":
        return _EXPORT
    if command == "selftest":
        return _SELFTEST
    if command not in LINE_COMMANDS:
        return MAIN_HELP
    intro = f"usage: synthassay {command} [SETTING=VALUE ...]\n\n{command}: {LINE_COMMANDS[command]}\n"
    if command != "run":
        intro += "Stages before it are built when they are absent and found when they are not.\n"
    files = f"\n{_SCORE_FILES}" if command == "score" else ""
    return intro + files + "\n" + _SETTINGS + "\n" + _FAMILIES + "\n" + _SWEEP
