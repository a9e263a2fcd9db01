"""Views of the 3D models in a Sweet Home 3D file, for `python -m train.mini.world.sprites build`.

    Models(Path("Scopia.sh3f")).view("scopia/cat.png", yaw=45, pitch=15)

A model is named by its icon in the file, itself a sprite of the catalogue. Needs trimesh and vtk; without
a display also libosmesa6 and the environment's VTK_DEFAULT_OPENGL_WINDOW=vtkOSOpenGLRenderWindow.
"""

from __future__ import annotations

import io
import re
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np

SIZE_PX = 480  # square picture that a view is drawn in
LIGHTS = ((45, -35, 0.75), (15, 50, 0.45), (80, 0, 0.3))  # elevation and azimuth from the camera, strength
AMBIENT = 0.3  # share of a material's colour that needs no light
SHARPEST_DEG = 40  # faces that meet at less than this are shaded as one surface
MIRRORLIKE = 0.15  # share of white highlight
FAINTEST = 0.3  # least opacity: a pane of glass must still be seen


class Models:
    """One furniture file (.sh3f): icons and the OBJ models they stand for."""

    def __init__(self, archive: Path) -> None:
        self._bundle = zipfile.ZipFile(archive)
        listing = next(n for n in self._bundle.namelist() if n.endswith("PluginFurnitureCatalog.properties"))
        lines = self._bundle.read(listing).decode("latin-1")
        icons = dict(re.findall(r"^icon#(\d+)\s*=\s*/?(\S+)", lines, re.M))
        paths = dict(re.findall(r"^model#(\d+)\s*=\s*/?(\S+)", lines, re.M))
        self._paths = {icon: paths[number] for number, icon in icons.items()}
        self._actors = lru_cache(maxsize=1)(self._load)  # views of one model follow each other

    def view(self, icon: str, yaw: float, pitch: float) -> np.ndarray:
        """(SIZE_PX, SIZE_PX, 4) RGBA bytes from `yaw` degrees round and `pitch` up. KeyError without icon."""
        return photograph(self._actors(self._paths[icon]), yaw, pitch)

    def _load(self, path: str) -> list:
        import trimesh

        folder = path.rsplit("/", 1)[0]
        resolver = _Neighbours(self._bundle, folder)
        file = io.BytesIO(self._bundle.read(path))
        scene = trimesh.load_scene(
            file, file_type="obj", resolver=resolver, group_material=True, process=False
        )
        return [actor(mesh) for mesh in scene.dump() if hasattr(mesh.visual, "material")]


class _Neighbours:
    """trimesh's resolver: the files beside a model."""

    def __init__(self, bundle: zipfile.ZipFile, folder: str) -> None:
        self._bundle, self._folder = bundle, folder

    def __getitem__(self, name: str) -> bytes:
        return self._bundle.read(f"{self._folder}/{name.strip()}")

    get = __getitem__


def actor(mesh):
    """A vtkActor of one trimesh mesh: its texture as it is, else its plain colour."""
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  what draws; to be known before the first actor is made
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkFiltersCore import vtkCleanPolyData, vtkPolyDataNormals
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    points, cells, surface = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(mesh.vertices, np.float32), deep=True))
    triples = np.column_stack([np.full(len(mesh.faces), 3), mesh.faces]).astype(np.int64)
    cells.SetCells(len(mesh.faces), numpy_to_vtkIdTypeArray(triples.ravel(), deep=True))
    surface.SetPoints(points)
    surface.SetPolys(cells)
    material, uv = mesh.visual.material, mesh.visual.uv
    picture = getattr(material, "image", None) if uv is not None else None
    thing, mapper, normals = vtkActor(), vtkPolyDataMapper(), vtkPolyDataNormals()
    normals.SetFeatureAngle(SHARPEST_DEG)
    if picture is None:  # without texture coordinates equal corners are one corner
        clean = vtkCleanPolyData()
        clean.SetInputData(surface)
        normals.SetInputConnection(clean.GetOutputPort())
    else:
        corners = np.ascontiguousarray(uv[:, :2], np.float32)
        surface.GetPointData().SetTCoords(numpy_to_vtk(corners, deep=True))
        normals.SetInputData(surface)
        thing.SetTexture(texture(picture))
    mapper.SetInputConnection(normals.GetOutputPort())
    thing.SetMapper(mapper)
    look = thing.GetProperty()
    look.SetColor(*(np.ones(3) if picture is not None else np.asarray(material.main_color)[:3] / 255))
    look.SetOpacity(max(FAINTEST, float(material.kwargs.get("d", ["1"])[0])))
    look.SetAmbient(AMBIENT)
    look.SetDiffuse(0.8)
    look.SetSpecular(MIRRORLIKE)
    look.SetSpecularPower(30)
    return thing


def texture(picture):
    """A repeating vtkTexture of a PIL picture."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkRenderingCore import vtkTexture

    pixels = np.asarray(picture.convert("RGBA"))[::-1]
    image, result = vtkImageData(), vtkTexture()
    image.SetDimensions(pixels.shape[1], pixels.shape[0], 1)
    channels = 4 if pixels[..., 3].min() < 255 else 3
    flat = np.ascontiguousarray(pixels[..., :channels].reshape(-1, channels))
    image.GetPointData().SetScalars(numpy_to_vtk(flat, deep=True))
    result.SetInputData(image)
    result.InterpolateOn()
    result.RepeatOn()
    return result


def photograph(actors: list, yaw: float, pitch: float) -> np.ndarray:
    """Draw actors on nothing, lit from the camera's left, its right and above."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkRenderingCore import vtkLight, vtkRenderer, vtkRenderWindow, vtkWindowToImageFilter

    window, renderer, shot = vtkRenderWindow(), vtkRenderer(), vtkWindowToImageFilter()
    window.SetOffScreenRendering(1)
    window.SetAlphaBitPlanes(1)
    window.SetMultiSamples(0)
    window.SetSize(SIZE_PX, SIZE_PX)
    window.AddRenderer(renderer)
    renderer.SetBackgroundAlpha(0)
    renderer.SetAutomaticLightCreation(0)
    for thing in actors:
        renderer.AddActor(thing)
    for elevation, azimuth, strength in LIGHTS:
        light = vtkLight()
        light.SetLightTypeToCameraLight()
        light.SetPosition(*direction(azimuth, elevation))
        light.SetIntensity(strength)
        renderer.AddLight(light)
    bounds = np.reshape(renderer.ComputeVisiblePropBounds(), (3, 2))
    camera = renderer.GetActiveCamera()
    camera.SetViewAngle(20)
    camera.SetFocalPoint(*bounds.mean(1))
    camera.SetViewUp(0, 1, 0)
    camera.SetPosition(*(bounds.mean(1) + direction(yaw, pitch)))
    renderer.ResetCamera()
    window.Render()
    shot.SetInput(window)
    shot.SetInputBufferTypeToRGBA()
    shot.ReadFrontBufferOff()
    shot.Update()
    pixels = vtk_to_numpy(shot.GetOutput().GetPointData().GetScalars())
    return pixels.reshape(SIZE_PX, SIZE_PX, 4)[::-1].copy()


def direction(yaw: float, pitch: float) -> np.ndarray:
    """(3,) unit vector toward `yaw` degrees round the upright axis (0 = +z) and `pitch` degrees up."""
    round_, up = np.radians([yaw, pitch])
    return np.array([np.sin(round_) * np.cos(up), np.sin(up), np.cos(round_) * np.cos(up)])
